import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.common.text import inert, plain

HOSTILE = (
    "<!channel> <@U123> @everyone @here **bold** `code` ~~x~~ [click](https://evil.example) "
    "<a href='javascript:x'>y</a> | # title \u202egnp.exe \x1b[31mred \u200bhidden\x00"
)


@given(st.text())
def test_nothing_inert_can_mention_link_format_or_hide(text):
    shown = inert(text)

    assert len(shown) <= 100 + shown.count(":\u2215\u2215")
    assert not set(shown) & set("@<>*`~[]|#\n\r\t\0")
    assert "://" not in shown
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Co"} for c in shown)
    assert not any(unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO"} for c in shown)


@given(st.text())
def test_what_is_inert_stays_as_it_is(text):
    assert inert(inert(text)) == inert(text)


@given(st.text())
def test_a_text_is_plain_whether_or_not_each_character_was_looked_at(text):
    assert plain(text) == plain(text + "\x00") == plain("\u200b" + text)


def test_every_character_that_is_printable_is_shown():
    printable = [c for c in map(chr, range(0x110000)) if c.isprintable() and not c.isspace()]
    assert plain("".join(printable) + "\x00") == "".join(printable)


@pytest.mark.parametrize(
    "text",
    ["MHBK", "harbor-wire", "my_rule.v2", "Fed & ECB", "株式市場", "\U0001f469\u200d\U0001f4bb"],
)
def test_what_is_harmless_is_left_alone(text):
    assert inert(text) == text


def test_a_hostile_text_keeps_its_words():
    shown = inert(HOSTILE, 300)

    assert "channel" in shown
    assert "gnp.exe 31mred" in shown.replace("\uff3b", " ").replace("  ", " ")
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 9 + "\u2026"),
        ("a\nb\r\n c\u2028d", "a b c d"),
        ("", ""),
    ],
)
def test_a_long_text_is_cut_and_stays_on_one_line(text, shown):
    assert plain(text, 10) == shown
