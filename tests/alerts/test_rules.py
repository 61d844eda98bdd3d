from datetime import timedelta
from pathlib import Path

import pytest

import tapewatch.demo.write_feed as demo
from alerts.rules.policies import Grouping
from alerts.rules.ruleset import Metric, RulesError, duration, load_rules, parse_rules

MINUTE = timedelta(minutes=1)

SMALLEST = """
[[rules]]
name = "r"
metric = "negative_share"
threshold = 0.5
"""

WEBHOOK = """
[[receivers]]
name = "hook"
type = "webhook"
url = "{}"
"""


def parse(text, **environment):
    return parse_rules(text.encode(), "rules.toml", environment)


def rule_with(line):
    return parse(SMALLEST + line).rules[0]


def rule_of(metric, threshold):
    return parse(SMALLEST.replace("negative_share", metric).replace("0.5", threshold)).rules[0]


def error_of(text, **environment):
    with pytest.raises(RulesError) as caught:
        parse(text, **environment)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("1h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("2 d", timedelta(days=2)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_a_sum_of_numbers_with_units(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "5w", "1.5h", "-5m", "5m and more", "5m-"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="is no duration; write 90s, 30m, 1h, 2d or 1h30m"):
        duration(text)


def test_a_rule_needs_a_name_a_metric_and_a_threshold_and_has_defaults_for_the_rest():
    rules = parse(SMALLEST)
    rule = rules.rules[0]

    assert (rule.name, rule.metric, rule.threshold) == ("r", Metric.NEGATIVE_SHARE, 0.5)
    assert (rule.scope, rule.keys, rule.kinds) == ("topic", (), ("news", "comment"))
    assert (rule.operator, rule.clear_threshold) == (">=", 0.5)
    assert (rule.window, rule.every, rule.for_duration) == (60 * MINUTE, 5 * MINUTE, 0 * MINUTE)
    assert (rule.min_documents, rule.severity_of(None), rule.receivers) == (10, 5, ("console",))
    assert [(r.name, r.type) for r in rules.receivers] == [("console", "console")]


def test_every_field_of_a_rule_and_a_receiver_is_read():
    rules = parse(
        WEBHOOK.format("https://example.test/hook")
        + 'timeout = "3s"\ngive_up_after = "2h"\n'
        + SMALLEST
        + 'scope = "symbol"\nkeys = ["A"]\nkinds = ["news"]\noperator = "<="\nclear = 0.75\n'
        + 'window = "15m"\nevery = "3m"\nfor = "90s"\nmin_documents = 0\nseverity = 10\n'
        + 'receivers = ["hook"]'
    )
    rule, receiver = rules.rules[0], rules.receiver("hook")

    assert (rule.scope, rule.keys, rule.kinds) == ("symbol", ("A",), ("news",))
    assert (rule.operator, rule.clear_threshold) == ("<=", 0.75)
    assert (rule.window, rule.every) == (15 * MINUTE, 3 * MINUTE)
    assert rule.for_duration == timedelta(seconds=90)
    assert (rule.min_documents, rule.severity, rule.receivers) == (0, 10, ("hook",))
    assert receiver.url == "https://example.test/hook"
    assert (receiver.timeout, receiver.give_up_after) == (timedelta(seconds=3), 120 * MINUTE)
    assert rules.receiver("nobody") is None


@pytest.mark.parametrize(
    "line",
    [
        'window = "1m"',
        'every = "1m"',
        'window = "60s"',
        'for = "0s"',
        "clear = 0.5",
        "clear = 0.4",
        'operator = "<="\nclear = 0.6',
        "severity = 1",
        "severity = 10",
        'min_documents = 0\nkeys = ["Macro"]',
        'min_documents = 0\nscope = "all"',
        "min_documents = 1",
    ],
)
def test_what_lies_just_inside_a_check_is_accepted(line):
    assert rule_with(line).name == "r"


WHOLE_MINUTES = "must be a whole number of minutes, at least one"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('window = "0m"', f"`window` {WHOLE_MINUTES}"),
        ('window = "90s"', f"`window` {WHOLE_MINUTES}"),
        ('every = "0m"', f"`every` {WHOLE_MINUTES}"),
        ('every = "61s"', f"`every` {WHOLE_MINUTES}"),
        ("clear = 0.51", "`clear` lies on the wrong side of `threshold`"),
        ('operator = "<="\nclear = 0.49', "`clear` lies on the wrong side of `threshold`"),
        ('min_documents = 0\nscope = "topic"', "with `min_documents` 0 the `keys` must be named"),
        ('receivers = ["console", "pager"]', "there is no receiver called 'pager'"),
    ],
)
def test_each_check_names_the_file_the_rule_and_what_is_wrong(line, message):
    assert error_of(SMALLEST + line) == f"rules.toml: rule 'r': {message}"


@pytest.mark.parametrize(
    ("metric", "inside", "outside", "message"),
    [
        ("negative_share", ("0.0", "1.0"), ("-0.01", "1.01"), "a share lies between 0 and 1"),
        ("mean_score", ("-1.0", "1.0"), ("-1.01", "1.01"), "a mean score lies between -1 and 1"),
    ],
)
def test_a_threshold_lies_where_its_metric_does(metric, inside, outside, message):
    assert [rule_of(metric, text).threshold for text in inside] == [float(t) for t in inside]
    for text in outside:
        written = SMALLEST.replace("negative_share", metric).replace("0.5", text)
        assert error_of(written) == f"rules.toml: rule 'r': {message}, not at {text}"


@pytest.mark.parametrize("metric", ["negative_count", "documents"])
def test_a_count_may_have_any_threshold(metric):
    assert rule_of(metric, "1000").threshold == 1000


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ('treshold = "x"', "treshold"),
        ('scope = "planet"', "planet"),
        ('kinds = ["tweet"]', "tweet"),
        ('operator = ">"', "'>'"),
        ("severity = 0", "severity"),
        ("severity = 11", "severity"),
        ("min_documents = -1", "min_documents"),
        ('keys = "A"', "keys"),
        ('window = "soon"', "'r': `window`: 'soon' is no duration"),
        ("window = 60", "'r': `window`: 60 is no duration"),
        ('for = "-5m"', "'r': `for`: '-5m' is no duration"),
    ],
)
def test_an_unknown_field_or_a_wrong_type_or_value_is_named(line, fragment):
    message = error_of(SMALLEST + line)

    assert message.startswith("rules.toml: ")
    assert fragment in message


def test_a_metric_that_we_do_not_know_is_named():
    assert "'mood' - at `$.rules[0].metric`" in error_of(SMALLEST.replace("negative_share", "mood"))


def test_a_duration_beyond_all_calendars_is_refused_like_any_other():
    assert "`window`" in error_of(SMALLEST + 'window = "99999999999999d"')


@pytest.mark.parametrize("field", ["name", "metric", "threshold"])
def test_a_field_that_must_be_there_is_missed_by_name(field):
    lines = [line for line in SMALLEST.splitlines() if not line.startswith(field)]

    assert f"missing required field `{field}`" in error_of("\n".join(lines))


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("a" * 100, True),
        ("Bank.scare_2-x", True),
        ("", False),
        ("a" * 101, False),
        ("-a", False),
        ("a b", False),
    ],
)
def test_a_name_is_short_and_plain(name, good):
    text = SMALLEST.replace('"r"', f'"{name}"')

    if good:
        assert parse(text).rules[0].name == name
    else:
        assert "$.rules[0].name" in error_of(text)


def test_two_rules_or_two_receivers_of_one_name_are_refused():
    hook = WEBHOOK.format("http://localhost")

    assert error_of(SMALLEST * 2) == "rules.toml: two rules are called 'r'"
    assert error_of(hook * 2) == "rules.toml: two receivers are called 'hook'"


def test_a_url_takes_its_variables_from_the_environment():
    text = WEBHOOK.format("https://${HOST}/${PATH_1}/x")

    rules = parse(text, HOST="example.test", PATH_1="secret")

    assert rules.receivers[0].url == "https://example.test/secret/x"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://${HOST}/${TOKEN}", "the environment has no HOST, TOKEN"),
        ("", "a webhook needs a `url`"),
        ("ftp://example.test", "`url` must be http or https"),
        ("example.test", "`url` must be http or https"),
    ],
)
def test_a_webhook_needs_a_whole_http_address(url, message):
    assert error_of(WEBHOOK.format(url)) == f"rules.toml: receiver 'hook': {message}"


def test_a_webhook_without_url_is_refused():
    text = '[[receivers]]\nname = "hook"\ntype = "webhook"'

    assert error_of(text) == "rules.toml: receiver 'hook': a webhook needs a `url`"


@pytest.mark.parametrize("text", ["rules = 5", "[rules]", "rules = [5]", "[[rules"])
def test_what_is_no_list_of_rules_is_refused(text):
    assert error_of(text).startswith("rules.toml: ")


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_bytes(b'name = "\xff"')

    with pytest.raises(RulesError, match=r"rules\.toml: 'utf-8' codec"):
        load_rules(path)


def test_a_file_that_is_missing_is_refused_by_name(tmp_path):
    with pytest.raises(RulesError, match=r"cannot read the rules file .*absent\.toml: No such"):
        load_rules(tmp_path / "absent.toml")


def test_an_empty_file_has_no_rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("")

    assert load_rules(path).rules == ()


def test_the_shipped_rules_load():
    shipped = load_rules(Path(demo.__file__).with_name("rules.toml"))

    assert {rule.name for rule in shipped.rules} == {
        "symbol-turns-negative",
        "topic-turns-negative",
    }


def test_how_alerts_are_told_has_defaults_and_can_be_written():
    given = parse(
        SMALLEST
        + """
[grouping]
by = ["rule", "key"]
interval = "10m"
[flapping]
changes = 3
[[inhibit]]
source = { rule = "all-*" }
target = { scope = "topic", severity = "<=5" }
[pipeline]
stalled_after = "1h"
receivers = []
"""
    )

    assert parse(SMALLEST).grouping == Grouping(
        by=("rule",), wait=MINUTE / 2, interval=5 * MINUTE, repeat=240 * MINUTE
    )
    assert (given.grouping.by, given.grouping.interval) == (("rule", "key"), 10 * MINUTE)
    assert (given.flapping.changes, given.flapping.span) == (3, 60 * MINUTE)
    assert given.inhibit[0].target == {"scope": "topic", "severity": "<=5"}
    assert (given.pipeline.stalled_after, given.pipeline_receivers) == (60 * MINUTE, ())
    assert parse(SMALLEST).pipeline_receivers == ("console",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[grouping]\nby = ["topic"]', "Invalid enum value 'topic'"),
        ('[grouping]\nwait = "soon"', "is no duration"),
        ('[grouping]\nrepeat = "59s"', "`repeat` must be a minute at least"),
        ('[flapping]\nspan = "0s"', "`span` must be a minute at least"),
        ("[flapping]\nchanges = 0", "`int` >= 1"),
        ('[pipeline]\nstalled_after = "30s"', "must be a minute at least"),
        ('[pipeline]\nreceivers = ["x"]', "no receiver called 'x'"),
        ('[[inhibit]]\nsource = {}\ntarget = { key = "a" }', "`source`: without a matcher"),
        ('[[inhibit]]\nsource = { key = "a" }\ntarget = { hue = "a" }', "`target`: 'hue' cannot"),
    ],
)
def test_a_mistake_in_how_alerts_are_told_names_the_field(text, message):
    assert message in error_of(SMALLEST + text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('keep_firing_for = "0s"', None),
        ('no_data_after = "1m"', None),
        ('no_data_after = "59s"', "`no_data_after` must be a minute at least"),
        ('no_data = "maybe"', "Invalid enum value 'maybe'"),
    ],
)
def test_the_fields_of_recovery_and_silence_are_checked(line, message):
    if message is None:
        assert rule_with(line).name == "r"
    else:
        assert message in error_of(SMALLEST + line)


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        ("", "ok"),
        ('keys = ["A"]', "alert"),
        ('scope = "all"', "alert"),
        ('scope = "all"\nmin_documents = 0', "ok"),
        ('keys = ["A"]\nno_data = "keep"', "keep"),
        ('no_data = "alert"', "alert"),
    ],
)
def test_silence_matters_by_default_where_documents_are_expected(lines, policy):
    rule = rule_with(lines)

    assert rule.on_silence == policy
    assert rule.silence == 240 * MINUTE
    looks_back = rule.silence + rule.window + rule.every + MINUTE
    assert rule.reach == (looks_back if policy == "alert" else rule.window)
