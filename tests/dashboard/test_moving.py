"""Movers and the treemap: the tables behind them, and how the page Now shows them."""

from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st
from hypothesis import given, strategies
from support.pages import open_at

from dashboard.common.view import make_view
from dashboard.now import movers, treemap
from dashboard.now.treemap import squarify
from store.buckets import Sums
from store.movement import Change
from store.views import RunSummary

DAY, HOUR = datetime(2026, 3, 9, tzinfo=UTC), timedelta(hours=1)


def script(database):
    from dashboard.app import render  # noqa: PLC0415 - Streamlit runs this function's source

    render(database)


@pytest.fixture
def open_page(scene):
    """Open the page, as a link with ``query`` does."""

    def opened(**query):
        return open_at(script, scene.database, **query)

    yield opened
    st.cache_data.clear()


def change(key, before, now):
    """Of each side so many negative of so many."""
    (was, held), (negative, documents) = before, now
    return Change(
        key, Sums(held, was, 0, held - was), Sums(documents, negative, 0, documents - negative)
    )


def names(table):
    return list(table["key"])


def test_the_surest_change_comes_first_whichever_way_it_goes():
    found = [
        change("calm", (20, 100), (20, 100)),
        change("up", (20, 100), (70, 100)),
        change("down", (90, 100), (1, 100)),
        change("a little", (20, 100), (30, 100)),
    ]
    table = movers.tabulate({"topic": found})
    assert names(table) == ["down", "up"]
    assert list(table["said"]) == ["▼ 90% to 1%, 100 documents", "▲ 20% to 70%, 100 documents"]
    assert table["told"][1] == "up (topic): 70 of 100 negative, 20 of 100 before"
    assert ((table["sure"] > 0) & (table["sure"] < table["apart"].abs())).all()


def test_a_change_of_a_few_documents_does_not_shout():
    few, many = change("few", (0, 500), (9, 9)), change("many", (100, 500), (60, 100))
    assert names(movers.tabulate({"symbol": [few, many]})) == ["many"]
    ten = change("ten", (3, 10), (8, 10))
    assert names(movers.tabulate({"symbol": [ten]})) == []


def test_what_was_never_there_before_has_not_moved():
    assert movers.tabulate({"topic": [change("new", (0, 0), (50, 50))]}).empty
    assert movers.tabulate({}).empty


def test_topics_and_symbols_stand_in_one_list_and_the_rest_is_left_out():
    moved = [change(f"k{n}", (10, 100), (60 + n, 100)) for n in range(12)]
    table = movers.tabulate({"topic": moved[:6], "symbol": moved[6:]})
    assert len(table) == movers.MOST
    assert set(table["scope"]) == {"topic", "symbol"}
    assert names(table)[0] == "k11"


@pytest.mark.parametrize(("length", "recent"), [(3, 1), (24, 4), (72, 4), (240, 24)])
def test_the_latest_part_is_four_cells_of_the_heatmap(length, recent):
    run = RunSummary(1, "demo", DAY, None, 1, 0)
    view = make_view(run, (DAY, DAY + length * HOUR - HOUR / 60), "all", None)
    assert movers.latest(view) == (DAY + (length - recent) * HOUR, DAY + length * HOUR)


SIZES = strategies.lists(strategies.integers(1, 10_000), min_size=1, max_size=60)


@given(SIZES, strategies.floats(0.2, 5))
def test_rectangles_fill_the_whole_in_proportion_and_do_not_overlap(sizes, width):
    areas = sorted(map(float, sizes), reverse=True)
    found = squarify(areas, width, 1)
    assert len(found) == len(areas)
    for area, (x, y, w, h) in zip(areas, found, strict=True):
        assert w * h == pytest.approx(width * area / sum(areas))
        assert min(x, y) >= -1e-9
        assert x + w <= width + 1e-9
        assert y + h <= 1 + 1e-9
    for number, (x, y, w, h) in enumerate(found):
        for left, top, across, down in found[:number]:
            apart_x = min(x + w, left + across) - max(x, left)
            apart_y = min(y + h, top + down) - max(y, top)
            assert min(apart_x, apart_y) <= 1e-9


def test_equal_areas_become_nearly_squares():
    assert max(max(w / h, h / w) for _, _, w, h in squarify([1.0] * 12, 2, 1)) < 2
    assert squarify([], 2, 1) == []


def test_the_example_of_the_paper_is_laid_out_as_there():
    found = squarify([6, 6, 4, 3, 2, 2, 1], 6, 4)
    rounded = [tuple(round(number, 2) for number in each) for each in found[:5]]
    assert rounded == [
        (0, 0, 3, 2), (0, 2, 3, 2), (3, 0, 1.71, 2.33), (4.71, 0, 1.29, 2.33), (3, 2.33, 1.2, 1.67),
    ]  # fmt: skip


def test_symbols_are_as_large_as_their_documents_and_signed():
    sums = {"A": Sums(60, 40, 10, 10), "B": Sums(30, 5, 5, 20), "C": Sums(10, 3, 4, 3)}
    changes = [Change(key, Sums(), each) for key, each in sums.items()]
    table = treemap.tabulate(changes).set_index("key")
    assert list((table["w"] * table["h"]).round(6)) == [0.6, 0.3, 0.1]
    assert list(table["sign"]) == ["▼", "▲", "●"]
    assert list(table["net"]) == [-0.5, 0.5, 0]
    assert table["told"]["A"] == "A: 60 documents, net sentiment -0.50"


def test_the_colour_of_a_symbol_with_few_documents_is_held_back():
    few, many = Change("F", Sums(), Sums(3, 3)), Change("M", Sums(100, 100), Sums())
    table = treemap.tabulate([few, many]).set_index("key")
    assert table["net"]["F"] == table["net"]["M"] == -1
    assert table["shade"]["M"] < -0.9
    assert table["shade"]["F"] > -0.4


def test_the_largest_symbols_are_shown():
    changes = [Change(f"S{n:02}", Sums(n + 1), Sums()) for n in range(50)]
    table = treemap.tabulate(changes)
    assert len(table) == treemap.MOST
    assert table["key"][0] == "S49"
    assert treemap.tabulate([]).empty


def test_hostile_names_become_plain():
    name = "\u202e\x1b[31mevil\x07"
    table = treemap.tabulate([Change(name, Sums(), Sums(9, 9))])
    moved = movers.tabulate({"symbol": [change(name, (1, 90), (80, 90))]})
    for found in (table["name"][0], table["told"][0], moved["name"][0], moved["told"][0]):
        assert not {"\u202e", "\x1b", "\x07"} & set(found)


def headings(page):
    return [each.value for each in page.header]


def said(page):
    return [each.value for each in (*page.caption, *page.info)]


def test_now_shows_what_moved_and_the_symbols(scene, open_page):
    for hour in range(24):
        late = "negative" if hour >= 20 else "neutral"
        scene.add_documents("replay", 12, hour=hour, sentiment=late, symbols=("HUB",))
    page = open_page(run="replay")
    assert {"Biggest movers", "Symbols by volume"} <= set(headings(page))
    assert any("Negative share in 9 Mar 20:00" in each for each in said(page))
    assert not any("moved beyond chance" in each for each in said(page))


def test_now_says_where_nothing_moved_and_no_symbol_was_named(scene, open_page):
    for hour in range(6):
        scene.add_documents("replay", 12, hour=hour)
    page = open_page(run="replay")
    assert any("No negative share moved beyond chance" in each for each in said(page))
    assert any("names a symbol" in each for each in said(page))
