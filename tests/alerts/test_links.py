import re
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.fields import RulesError
from alerts.links import alert_id, alert_link, is_address
from alerts.rules import parse_rules

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
