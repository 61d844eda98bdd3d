from datetime import timedelta

import pytest

from alerts.rules.kinds import CompositeRule, SpikeRule, ThresholdRule, TrendRule
from alerts.rules.ruleset import RulesError, load_rules, parse_rules

HOUR = timedelta(hours=1)

FILE = """
[[rules]]
name = "share"
scope = "symbol"
metric = "negative_share"
threshold = 0.5
clear = 0.4

[[rules.overrides]]
keys = ["BAC", "C"]
threshold = 0.8
clear = 0.6
for = "10m"
receivers = []

[[rules]]
name = "spike"
type = "spike"
scope = "symbol"

[[rules]]
name = "trend"
type = "trend"
scope = "symbol"

[[rules]]
name = "both"
type = "composite"
scope = "symbol"
all = ["share", "spike"]
"""


def parse(text):
    return parse_rules(text.encode(), "rules.toml", {}).rules


def error_of(text):
    with pytest.raises(RulesError) as caught:
        parse(text)
    return str(caught.value)


def test_a_rule_says_what_kind_it_is_and_is_a_threshold_if_it_does_not():
    share, spike, trend, both = parse(FILE)

    assert [type(rule) for rule in (share, spike, trend, both)] == [
        ThresholdRule, SpikeRule, TrendRule, CompositeRule]  # fmt: skip
    assert [rule.type for rule in (share, spike, trend, both)] == [
        "threshold", "spike", "trend", "composite"]  # fmt: skip
    assert (spike.clear_threshold, spike.band) == (2.5, 5.0)
    assert trend.looks_back == 4 * HOUR
    assert both.members == ("share", "spike")


def test_what_is_overridden_holds_for_the_named_keys_and_the_rest_stays():
    share = parse(FILE)[0]

    for key in ("BAC", "C"):
        own = share.at(key)
        assert (own.threshold, own.clear_threshold) == (0.8, 0.6)
        assert (own.for_duration, own.receivers) == (timedelta(minutes=10), ())
        assert (own.name, own.window) == (share.name, share.window)
    assert share.at("WFC") is share


SPIKE, TREND = 'type = "spike"\n', 'type = "trend"\n'


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('type = "spik"', "Invalid value 'spik' - at `$.rules[4].type`"),
        (SPIKE + 'metric = "mean_score"', "`metric` of a spike rule"),
        (SPIKE + "threshold = 0", "`threshold` must be above 0"),
        (SPIKE + "threshold = 100.5", "`threshold` must be above 0 and at most 100"),
        (SPIKE + "threshold = 4\nclear = 4.5", "`clear` must lie between 0 and `threshold`"),
        (SPIKE + "min_band = -1", "`min_band` must be 0 or more"),
        (SPIKE + 'metric = "negative_share"\nmin_band = 1.5', "and at most 1 for a share"),
        (SPIKE + 'window = "13h"', "`window` of a spike rule must be 12h at most"),
        (SPIKE + 'every = "7m"', "`every` of a spike rule must divide a day"),
        (SPIKE + 'history = "36h"', "`history` must be a whole number of days"),
        (SPIKE + 'history = "93d"', "`history` must be a whole number of days, from 2d to 92d"),
        (SPIKE + 'min_history = "29d"', "`min_history` must be a whole number of days"),
        (SPIKE + "min_documents = 0", "`min_documents` of a spike rule must be 1 at least"),
        (SPIKE + "min_texts = 0", "Expected `int` >= 1"),
        (SPIKE + "min_texts = 21", "Expected `int` <= 20"),
        (SPIKE + 'operator = "<="', "unknown field `operator`"),
        (TREND + "windows = 1", "Expected `int` >= 2"),
        (TREND + "fall = 2.5", "`fall` must lie between 0 and 2"),
        (TREND + 'windows = 48\nwindow = "1d"', "must be 31d at most"),
        (TREND + "min_documents = 0", "`min_documents` of a trend rule"),
        ('type = "composite"', "needs either `all` or `any`"),
        ('type = "composite"\nall = ["x"]\nany = ["x"]', "needs either `all` or `any`"),
        ('type = "composite"\nall = ["x"]', "`all`: there is no rule called 'x'"),
        ('type = "composite"\nany = ["r"]', "rule 'r': is made of itself: r of r"),
        ('type = "composite"\nany = ["share"]', "`any`: 'share' is of the scope 'symbol'"),
        ('type = "composite"\nall = ["share"]\nscope = "symbol"\nmin_documents = 3', "its members"),
        (SPIKE + 'scope = "all"\n[rules.aliases]\na = ["b"]', "the scope `all` has none"),
        (SPIKE + '[rules.aliases]\na = ["b"]\nc = ["b"]', "'b' stands for two keys"),
        (SPIKE + 'keys = ["a", "b"]\n[rules.aliases]\na = ["b"]', "'b' stands for two keys"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_refused(rule, message):
    assert message in error_of(f'{FILE}\n[[rules]]\nname = "r"\n{rule}')


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("threshold = 0.9", "override 2: `keys` must be a list"),
        ('keys = "WFC"', "override 2: `keys` must be a list"),
        ('keys = ["WFC"]', "override 2: it changes nothing"),
        ('keys = ["C"]\nthreshold = 0.9', "override 2: `keys`: 'C' has an override already"),
        ('keys = ["WFC"]\nthreshold = 1.1', "override 2: a share lies between 0 and 1"),
        ('keys = ["WFC"]\nthreshold = "x"', "override 2: `threshold`: Expected `float`"),
        ('keys = ["WFC"]\nseverity = 11', "override 2: `severity`: Expected `int` <= 10"),
        ('keys = ["WFC"]\nwindow = "2h"', "override 2: `window` cannot be overridden"),
        ('keys = ["WFC"]\nfall = 0.3', "override 2: `fall` cannot be overridden"),
        ('keys = ["WFC"]\nfor = "x"', "`for`: 'x' is no duration"),
        ('keys = ["WFC"]\nreceivers = ["nobody"]', "there is no receiver called 'nobody'"),
    ],
)
def test_an_override_that_cannot_hold_is_refused(override, message):
    head, _, rest = FILE.partition('\n[[rules]]\nname = "spike"')
    text = f'{head}\n[[rules.overrides]]\n{override}\n\n[[rules]]\nname = "spike"{rest}'

    assert message in error_of(text)


def test_an_override_is_of_a_key_that_the_rule_judges():
    text = FILE.replace('scope = "symbol"\nmetric', 'scope = "symbol"\nkeys = ["C"]\nmetric')

    assert "override 1: `keys`: the rule does not judge 'BAC'" in error_of(text)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("threshold = 0.8", "threshold = 1.8", 9),
        ('for = "10m"', 'for = "-"', 13),
        ('for = "10m"', "window = 3", 13),
        ('keys = ["BAC", "C"]', "", 9),
        ('all = ["share", "spike"]', 'all = ["nobody"]', 30),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, old, new, line):
    path = tmp_path / "rules.toml"
    path.write_text(FILE.replace(old, new))

    with pytest.raises(RulesError) as caught:
        load_rules(path)

    assert str(caught.value).startswith(f"{path}:{line}: ")


LISTED = """
[[rules]]
name = "banks"
type = "spike"
scope = "symbol"
watchlist = "banks.csv"
"""


def listed(folder, content, rules=LISTED):
    (folder / "banks.csv").write_text(content, "utf-8-sig")
    (folder / "rules.toml").write_text(rules)
    return load_rules(folder / "rules.toml").rules[0]


def test_a_watch_list_is_keys_with_names_and_aliases(tmp_path):
    rule = listed(
        tmp_path, 'key,name,aliases\nBAC,"Bank of America, NA",\nBRK,Berkshire,BRKA; BRKB\n'
    )

    assert rule.keys == ("BAC", "BRK")
    assert rule.names == {"BAC": "Bank of America, NA", "BRK": "Berkshire"}
    assert rule.spellings("BRK") == ("BRK", "BRKA", "BRKB")
    assert rule.spellings("BAC") == ("BAC",)


def test_a_watch_list_of_keys_alone_will_do(tmp_path):
    assert listed(tmp_path, "key\nBAC\n C \n").keys == ("BAC", "C")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "banks.csv:1: the header must name the column `key`"),
        ("name\nx\n", "banks.csv:1: the header must name the column `key`"),
        ("key,ticker\nx,y\n", "banks.csv:1: unknown column 'ticker'"),
        ("key\n", "banks.csv: the watch-list holds no key"),
        ("key,name\nA,x\n,y\n", "banks.csv:3: the key is empty"),
        ("key\nA\nB\nA\n", "banks.csv:4: 'A' is there already"),
        ("key,aliases\nA,B\nB,\n", "banks.csv:3: 'B' is there already"),
        ("key,name\nA,x,y\n", "banks.csv:2: more values than columns"),
        ("key\n" + "A" * 201, "banks.csv:2: a text is longer than 200 characters"),
    ],
)
def test_a_watch_list_with_a_mistake_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(RulesError) as caught:
        listed(tmp_path, content)

    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_a_watch_list_that_is_not_there_is_named(tmp_path):
    (tmp_path / "rules.toml").write_text(LISTED)

    with pytest.raises(RulesError, match=r"cannot read the watch-list .*banks\.csv: No such file"):
        load_rules(tmp_path / "rules.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"symbol"', '"symbol"\nkeys = ["A"]', "`watchlist` stands instead of `keys`"),
        ('"symbol"', '"all"', "`watchlist` is of keys"),
    ],
)
def test_a_watch_list_stands_instead_of_keys(tmp_path, old, new, message):
    with pytest.raises(RulesError, match=message):
        listed(tmp_path, "key\nA\n", LISTED.replace(old, new))
