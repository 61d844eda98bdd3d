"""Text of others, made fit to be seen."""

import pytest

from dashboard.common.plain import paragraphs, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x07c\x1b[31m", "abc[31m"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u2066left\u2069 \u200eand\u200f \u061cright", "left and right"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("two\r\nlines\u2028and\tmore", "two lines and more"),
        ("$5 and $6 **bold** <b>", "$5 and $6 **bold** <b>"),
        ("مرحبا 中文 👩\u200d💻", "مرحبا 中文 👩\u200d💻"),
        ("\x1b\u202e", ""),
    ],
)
def test_only_what_can_be_seen_is_left(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("limit", "shown"), [(11, "hello world"), (10, "hello wor…"), (7, "hello…")]
)
def test_a_long_text_is_cut_with_a_mark(limit, shown):
    assert plain("hello world", limit) == shown


def test_a_whole_text_keeps_its_lines():
    assert paragraphs("one\r\n\n two\x07 \n\u202e\nthree") == "one\ntwo\nthree"
