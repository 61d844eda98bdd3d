import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.common.fields import RulesError
from alerts.common.links import alert_id, alert_link, is_address, subject_link
from alerts.rules.ruleset import parse_rules

HOSTILE = "evil](javascript:alert(1)) <!channel> &x=\n"


def test_a_link_names_the_run_and_the_alert_and_quotes_nothing_of_a_feed():
    link = alert_link("https://tapewatch.example.com/desk/", "my run&x", HOSTILE, HOSTILE)
    parts = urlsplit(link)
    assert parts.path == "/desk/alerts"
    assert parse_qs(parts.query) == {
        "run": ["my run&x"],
        "alert": [alert_id("my run&x", HOSTILE, HOSTILE)],
    }
    assert "evil" not in link


def test_an_id_is_of_one_alert_of_one_run():
    names = [("live", "a", "b"), ("r", "a", "b"), ("live", "ab", ""), ("live", "a", "")]
    ids = {alert_id(*name) for name in names}
    assert len(ids) == len(names)
    assert all(re.fullmatch("[0-9a-f]{12}", number) for number in ids)


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://tapewatch.example.com", True),
        ("http://127.0.0.1:8501/base/", True),
        ("tapewatch.example.com", False),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https://ann@example.com", False),
        ("https://example.com/?run=live", False),
        ("https://example.com/#x", False),
        ("https://example.com/a b", False),
        ("https://ex\u202eample.com", False),
        ("http://[::1", False),
    ],
)
def test_a_dashboard_is_named_by_a_web_address(address, fits):
    assert is_address(address) is fits
    content = f'dashboard = "{address}"'.encode()
    if fits:
        assert parse_rules(content, "rules.toml", {}).dashboard == address
    else:
        with pytest.raises(RulesError, match="`dashboard` is the address"):
            parse_rules(content, "rules.toml", {})


NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=30)
DESK = "https://tapewatch.example.com/desk/"


@pytest.mark.parametrize(
    ("scope", "key", "subject"),
    [
        ("symbol", "HUB", "symbol:HUB"),
        ("topic", "M&A | _x_", "topic:M&A | _x_"),
        ("all", "", "all"),
    ],
)
def test_the_link_of_a_subject_names_it_and_the_span_around_the_alert(scope, key, subject):
    link = subject_link(DESK, "my run&x", scope, key, NOON, WINDOW)
    parts = urlsplit(link)
    assert parts.path == "/desk/subject"
    assert parse_qs(parts.query) == {
        "run": ["my run&x"],
        "subject": [subject],
        "span": ["24h"],
        "until": ["2026-03-09T13:00Z"],
    }


def test_a_key_in_a_link_is_no_markup():
    link = subject_link(
        DESK, "live", "symbol", f"{HOSTILE} *b* _i_ ~s~ `c` | # @everyone", NOON, WINDOW
    )
    assert re.fullmatch(r"[A-Za-z0-9%.=&?:/-]+", link)


@pytest.mark.parametrize(("hours", "span"), [(6, "24h"), (6.1, "3d"), (48, "3d"), (49, "all")])
def test_a_longer_window_is_shown_in_a_longer_span(hours, span):
    link = subject_link(DESK, "live", "symbol", "HUB", NOON, timedelta(hours=hours))
    assert parse_qs(urlsplit(link).query)["span"] == [span]


@pytest.mark.parametrize(("length", "fits"), [(500, True), (800, False)])
def test_a_link_that_would_be_cut_is_left_out(length, fits):
    link = subject_link(DESK, "live", "symbol", "x" * length, NOON, WINDOW)
    assert (link is not None) is fits


def test_the_state_of_the_pipeline_has_no_subject():
    assert subject_link(DESK, "live", "pipeline", "", NOON, WINDOW) is None
