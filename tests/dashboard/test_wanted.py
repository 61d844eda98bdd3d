"""The link that is opened after a login."""

import pytest

from dashboard.access.wanted import Links, browser_of

LINK = ("alerts", {"alert": "0123"})


def masked(token, mask):
    mixed = bytes(byte ^ mask[place % 4] for place, byte in enumerate(token))
    return f"2|{mask.hex()}|{mixed.hex()}|1700000000"


def test_a_browser_is_known_again_behind_any_mask():
    token = bytes(range(16))
    first, second = masked(token, b"\x01\x02\x03\x04"), masked(token, b"\xff\x00\xaa\x10")
    assert first != second
    assert browser_of(first) == browser_of(f'"{second}"') == token.hex()


@pytest.mark.parametrize("cookie", [None, "", "2", "1|ab|cd|0", "2|zz|00|0", "2||00|0", "2|00||0"])
def test_what_is_no_token_is_no_browser(cookie):
    assert browser_of(cookie) is None


def test_a_link_is_taken_once_by_the_browser_that_wanted_it():
    links = Links()
    links.keep("a", ("system", {}), 0.0)
    links.keep("a", LINK, 1.0)
    assert links.take("b", 2.0) is None
    assert links.take("a", 2.0) == LINK
    assert links.take("a", 2.0) is None


@pytest.mark.parametrize(("later", "taken"), [(599.9, LINK), (600.0, None)])
def test_a_link_is_kept_for_ten_minutes(later, taken):
    links = Links()
    links.keep("a", LINK, 5.0)
    assert links.take("a", 5.0 + later) == taken


def test_only_so_many_are_kept():
    links = Links()
    for number in range(1_001):
        links.keep(str(number), LINK, 0.0)
    assert links.take("0", 1.0) is None
    assert links.take("1", 1.0) == LINK
