import pytest

from alerts.common.locating import line_of
from alerts.rules.ruleset import RulesError, load_rules

FILE = """\
# a file
templates = "texts"

[[receivers]]
name = "console"
type = "console"

[[rules]]
name = "first"  # the first
metric = "negative_share"
threshold = 0.5

[[rules]]
name = "second"
metric = "negative_share"
window = "30m"
threshold = 0.5
keys = [
    "K",
]

[grouping]
wait = "30s"
interval = "5m"

[[routes]]
receivers = ["console"]

[[routes]]
min_severity = 3
receivers = ["console"]
"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Expected `float`, got `str` - at `$.rules[1].threshold`", 17),
        ("Object contains unknown field `foo` - at `$.rules[0]`", 8),
        ("Expected `str` - at `$.templates`", 2),
        ("Expected `duration` - at `$.grouping.wait`", 23),
        ("Invalid value (at line 7, column 3)", 7),
        ("rule 'second': `window` must be a whole number of minutes", 16),
        ("rule 'second': there is no receiver called 'x'", 13),
        ("rule 'first': `clear` lies on the wrong side of `threshold`", 8),
        ("'second': `window`: '3x' is no duration", 16),
        ("receiver 'console': the console has no `url`", 4),
        ("two rules are called 'second'", 13),
        ("route 2: `min_severity` is above `max_severity`", 30),
        ("grouping: `interval` is negative", 24),
        ("rule 'unknown': whatever", None),
        ("'utf-8' codec cannot", None),
    ],
)
def test_the_line_is_that_of_the_field_else_of_its_table(message, line):
    assert line_of(FILE, message) == line


def test_of_two_with_one_name_the_second_is_meant():
    text = FILE.replace('"second"', '"first"')

    assert line_of(text, "two rules are called 'first'") == 13


@pytest.mark.parametrize(
    ("old", "new", "begins"),
    [
        ('window = "30m"', 'window = "30"', ":16: 'second': `window`"),
        ("threshold = 0.5\nkeys", "threshold = true\nkeys", ":17: "),
        ('interval = "5m"', "interval = ", ":24: "),
        ("min_severity = 3", "min_severity = 30", ":30: "),
        ('keys = [\n    "K",\n]', "clear = 0.9", ":18: rule 'second': `clear`"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path, old, new, begins):
    assert old in FILE
    path = tmp_path / "rules.toml"
    path.write_text(FILE.replace(old, new))

    with pytest.raises(RulesError) as caught:
        load_rules(path)

    assert str(caught.value).startswith(f"{path}{begins}")
