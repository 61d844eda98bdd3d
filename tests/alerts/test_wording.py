import string

import pytest

from alerts.common.fields import RulesError
from alerts.receivers.wording import NAMES, load_template, render, shipped

ALERT = {
    "type": "alert.firing",
    "rule": "mood",
    "key": "<!channel> @everyone",
    "state": "firing",
    "severity": 7,
    "value": 0.8125,
    "documents": 32,
    "at": "2026-03-11T14:35:00+00:00",
    "fired_at": None,
    "summary": "a line",
}


def load(folder, text, name="mine.txt"):
    (folder / name).write_text(text, "utf-8")
    return load_template(folder, name, "rules.toml: receiver 'x'")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$state ${rule}!", "firing mood!"),
        ("$value of $documents", "0.81 of 32"),
        ("$at", "2026-03-11 14:35 UTC"),
        ("[$fired_at]", "[]"),
        ("[$window_end]", "[]"),
        ("costs $$5", "costs $5"),
        ("$id", "the-id"),
        ("$key", "\u2039!channel\u203a \uff20everyone"),
    ],
)
def test_a_template_is_filled_with_what_is_known(tmp_path, template, text):
    assert render(load(tmp_path, template), ALERT, "the-id") == text


def test_the_empty_key_is_all_documents(tmp_path):
    assert render(load(tmp_path, "$key"), {"key": ""}, "") == "all documents"


def test_a_link_stays_a_link(tmp_path):
    link = "https://tapewatch.example.com/alerts?run=live&alert=0123456789ab"
    assert render(load(tmp_path, "$link"), {"link": link}, "") == link
    assert render(load(tmp_path, "[$link]"), ALERT, "") == "[]"


def test_every_name_may_be_used(tmp_path):
    text = " ".join(f"${name}" for name in NAMES)

    assert "$" not in render(load(tmp_path, text), ALERT, "i")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$rule $nonsense", "names 'nonsense'; there are at, dedup_key"),
        ("costs 5$", "`\\$` without a name"),
        ("${rule", "`\\$` without a name"),
        ("  \n", "is empty"),
        ("x" * 20_001, "over 20000 bytes"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_at_once(tmp_path, text, told):
    with pytest.raises(RulesError, match=told):
        load(tmp_path, text)


@pytest.mark.parametrize("name", ["../mine.txt", "/etc/passwd", "sub/x.txt", ".hidden", ".."])
def test_a_template_lies_in_the_folder(tmp_path, name):
    with pytest.raises(RulesError, match="the name of a file"):
        load_template(tmp_path, name, "x")


def test_a_template_that_is_missing_or_no_text_is_told_with_its_path(tmp_path):
    with pytest.raises(RulesError, match=r"cannot read the template .*none\.txt: No such file"):
        load_template(tmp_path, "none.txt", "x")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(RulesError, match="is not UTF-8"):
        load_template(tmp_path, "b.txt", "x")


@pytest.mark.parametrize("name", ["console.txt", "message.txt", "notice.txt"])
def test_the_shipped_templates_name_what_there_is(name):
    template = shipped(name)

    assert template.is_valid()
    assert set(template.get_identifiers()) <= set(NAMES)
    assert isinstance(template, string.Template)
