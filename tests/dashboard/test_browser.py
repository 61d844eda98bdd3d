"""The dashboard as people get it: a launched Streamlit, a real PostgreSQL and a real Chromium."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.alerting import let_fire
from support.browser import wait_for_idle
from support.dashboard import launched
from typer.testing import CliRunner

from alerts import actions
from alerts.common.links import alert_id
from alerts.receivers.wording import render, shipped
from store.corrections import read_corrections
from store.runs import find_run
from store.views import read_text
from tapewatch.commands import alerting

PATIENCE = 60_000
MINE = b"""
[[rules]]
name = "mine"
metric = "documents"
scope = "source"
threshold = 5
min_documents = 1
"""
CLICKS = 3
OUTSIDE = re.compile(r"^(https?|wss?)://(?!127\.0\.0\.1[:/])")
LOOKING_FOR_ITS_SERVER = re.compile(
    r"/(subject|alerts|documents|replays|model|system)/_stcore/(health|host-config)$"
)
"""Opened at a page's own address, Streamlit looks below it first, and then where it is."""


@pytest.fixture(scope="module")
def shared(postgres, new_scene) -> Iterator:
    """One database for the tests that only look; each leaves the others' runs alone."""
    with postgres.database() as url:
        scene = new_scene(url)
        scene.tell_story()
        yield scene
        scene.close()


@pytest.fixture(scope="module")
def address(shared, tmp_path_factory) -> Iterator[str]:
    with launched(shared, tmp_path_factory.mktemp("dashboard")) as address:
        yield address


@pytest.fixture
def watch(browser) -> Iterator[Callable[..., Page]]:
    """Open a page; at the end, nothing may have gone wrong in the browser."""
    contexts, problems = [], []

    def opened(url, width=1440, scheme="light") -> Page:
        # So high that all of the page is in sight: what is not, Streamlit leaves undrawn.
        viewport = {"width": width, "height": 3200}
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: is_wrong(line) and problems.append(line.text))
        page.on("request", lambda asked: OUTSIDE.match(asked.url) and problems.append(asked.url))
        page.goto(url)
        see(page.get_by_role("heading", name="Tapewatch"))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def open_page(watch, address) -> Callable[..., Page]:
    return lambda query="", **how: watch(f"{address}?run=replay{query}", **how)


def is_wrong(line) -> bool:
    return line.type == "error" and not LOOKING_FOR_ITS_SERVER.search(line.location["url"])


def see(locator) -> None:
    expect(locator.first).to_be_visible(timeout=PATIENCE)


def settle(page) -> None:
    """Wait until the page stands still: on a busy machine, what goes may outlast what comes."""
    for part in (
        heatmap(page),
        page.locator("[class*=st-key-documents-] [data-testid=stDataFrame]"),
    ):
        see(part)
        expect(part).to_have_count(1, timeout=PATIENCE)
    wait_for_idle(page, PATIENCE)


def heatmap(page):
    return page.locator("[class*=st-key-heatmap] svg.marks")


def table(page):
    return page.locator("[class*=st-key-documents-] canvas")


def read(page, text):
    # A canvas to the eye; its cells are there for screen readers, once it is in sight.
    cell = table(page).locator("[role=gridcell]").filter(has_text=text)
    expect(cell.first).to_be_attached(timeout=PATIENCE)


def click_cell(page, description):
    # A cell tells screen readers what it holds.
    settle(page)
    cell = heatmap(page).locator(f"path[aria-label*={description!r}]").first
    expect(cell).to_be_visible(timeout=PATIENCE)
    only = page.get_by_role("button", name="Only").first
    # A live page may be refreshed between the look and the click; one clicks again then.
    for _ in range(CLICKS):
        cell.click()
        with suppress(AssertionError):
            expect(only).to_be_visible(timeout=PATIENCE / CLICKS)
            break
    see(only)
    settle(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_there_and_nothing_is_cut(open_page, scheme):
    page = open_page(scheme=scheme)
    see(page.get_by_text("Financials · bank-run"))
    see(heatmap(page))
    see(table(page))
    see(page.locator(".stVegaLiteChart svg.marks").nth(2))
    see(heatmap(page).get_by_text("Treasuries | Corporate Debt"))
    assert "…" not in heatmap(page).text_content()


def test_a_click_on_a_cell_shows_the_documents_behind_it(open_page):
    page = open_page()
    click_cell(page, "Financials, 9 Mar 12:00")
    see(page.get_by_role("button", name="Only 9 Mar 12:00"))
    expect(page).to_have_url(re.compile("subject=topic%3AFinancials"), timeout=PATIENCE)
    read(page, "Financials at 12:58")
    page.get_by_role("button", name="Only 9 Mar 12:00").click()
    expect(page.get_by_role("button", name="Only 9 Mar 12:00")).to_have_count(0, timeout=PATIENCE)


def test_another_topic_can_be_chosen_from_the_list(open_page):
    page = open_page()
    see(table(page))
    page.get_by_role("combobox", name="Timeline and documents of").click()
    page.get_by_role("option", name="Topic: Treasuries | Corporate Debt").click()
    expect(page).to_have_url(re.compile("Treasuries"), timeout=PATIENCE)
    read(page, "Treasuries | Corporate Debt at 23:45")


def test_a_hostile_headline_is_only_text(open_page):
    page = open_page("&subject=topic%3AFinancials")
    click_cell(page, "Financials, 9 Mar 13:00")
    read(page, "evil.example")
    box = page.locator("[class*=st-key-documents-] [data-testid=stDataFrame]")
    box.click(position={"x": 18, "y": 52})
    see(page.locator(".st-key-document").get_by_text("$x^2$ costs $5"))
    assert page.locator("img[src*=evil], a[href*=evil], a[href^=javascript], .katex").count() == 0


def test_an_analyst_corrects_a_document(shared, open_page):
    page = open_page("&subject=topic%3AFinancials")
    settle(page)
    box = page.locator("[class*=st-key-documents-] [data-testid=stDataFrame]")
    box.click(position={"x": 18, "y": 52})
    form = page.locator(".st-key-correcting")
    see(form.get_by_text("Nobody has corrected it"))
    form.get_by_role("combobox", name="Sentiment").click()
    page.get_by_role("option", name="neutral").click()
    form.get_by_role("textbox", name="Your name").fill("ann")
    form.get_by_role("button", name="Save correction").click()
    cell = form.locator("canvas [role=gridcell]").filter(has_text="ann")
    expect(cell.first).to_be_attached(timeout=PATIENCE)
    with shared.database.transaction() as connection:
        (said,) = read_corrections(connection)
    assert (said.topic, said.sentiment, said.author) == (None, "neutral", "ann")


def test_a_phone_needs_no_scrolling_sideways(open_page):
    page = open_page(width=390)
    see(heatmap(page))
    see(table(page))
    overflow = "element => element.scrollWidth - element.clientWidth"
    assert page.locator("html").evaluate(overflow) == 0
    assert page.get_by_test_id("stMain").evaluate(overflow) == 0


def test_the_choices_stand_in_one_row_on_a_small_screen(open_page):
    page = open_page(width=1024)
    settle(page)
    choices = [page.locator(f".st-key-{name}").bounding_box() for name in ("run", "span", "kind")]
    assert len({round(box["y"] + box["height"]) for box in choices}) == 1


def found(page):
    return page.locator("[class*=st-key-found-] [data-testid=stDataFrame]")


def test_the_pages_lead_to_each_other_and_keep_the_run(watch, address):
    page = watch(f"{address}?run=quiet")
    see(page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("5", exact=True))
    page.get_by_role("link", name="Documents").click()
    see(page.get_by_text("5 texts"))
    expect(page).to_have_url(re.compile(r"/documents\?.*run=quiet"), timeout=PATIENCE)
    page.get_by_role("link", name="System").click()
    see(page.get_by_role("heading", name="Storage"))
    expect(page).to_have_url(re.compile(r"/system\?.*run=quiet"), timeout=PATIENCE)
    page.get_by_role("link", name="Now").click()
    see(heatmap(page))
    expect(page).to_have_url(re.compile(r"/\?.*run=quiet"), timeout=PATIENCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_documents_are_searched_opened_and_linked_to(watch, address, scheme):
    page = watch(f"{address}documents?run=replay", scheme=scheme)
    page.get_by_role("textbox", name="Search in titles and texts").fill('click "costs $5"')
    page.keyboard.press("Enter")
    see(page.get_by_text("1 text", exact=True))
    see(found(page))
    wait_for_idle(page, PATIENCE)
    found(page).click(position={"x": 18, "y": 52})
    see(page.locator(".st-key-document").get_by_text("$x^2$ costs $5"))
    expect(page).to_have_url(re.compile("document="), timeout=PATIENCE)
    again = watch(page.url, scheme=scheme)
    see(again.locator(".st-key-document").get_by_text("$x^2$ costs $5"))
    for shown in (page, again):
        harmful = "img[src*=evil], a[href*=evil], a[href^=javascript], .katex"
        assert shown.locator(harmful).count() == 0


def test_what_was_found_is_downloaded(watch, address):
    page = watch(f"{address}documents?run=replay&symbol=HUB")
    see(page.get_by_text("30 texts"))
    page.get_by_role("button", name="Export").click()
    see(page.get_by_role("button", name="CSV", exact=True))
    wait_for_idle(page, PATIENCE)
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == 31
    assert download.value.suggested_filename == "tapewatch-documents.csv"


def test_one_after_another_is_labelled(watch, scene, tmp_path):
    scene.add_documents("replay", 1, text="the first of them")
    scene.add_documents("replay", 1, text="the second of them", hour=1)
    scene.finish("replay")
    with launched(scene, tmp_path) as address:
        page = watch(f"{address}documents?run=replay&view=queue")
        see(page.locator(".st-key-document").get_by_text("the second of them"))
        form = page.locator(".st-key-correcting")
        form.get_by_role("combobox", name="Sentiment").click()
        page.get_by_role("option", name="neutral").click()
        form.get_by_role("textbox", name="Your name").fill("ann")
        form.get_by_role("button", name="Save correction").click()
        see(page.locator(".st-key-document").get_by_text("the first of them"))
        see(page.get_by_text("1 text that nobody has corrected"))
        page.context.close()
    with scene.database.transaction() as connection:
        (said,) = read_corrections(connection)
    assert (said.text, said.sentiment, said.author) == ("the second of them", "neutral", "ann")


def test_dead_letters_are_tried_again(watch, scene, tmp_path):
    scene.add_documents("replay", 3)
    mended = b'{"id": "m", "text": "Oil climbs", "published_at": "2026-03-09T10:00:00Z"}'
    scene.add_dead_letters("replay", mended, b"{", b"\xff")
    scene.finish("replay")
    with launched(scene, tmp_path) as address:
        page = watch(f"{address}system?run=replay")
        see(page.get_by_text("tapewatch dead-letters requeue --run replay --apply"))
        page.get_by_role("button", name="What would come of it?").click()
        see(page.get_by_text("1 would become documents; 2 would be turned away again"))
        page.get_by_role("button", name="Try them again (1)").click()
        see(page.get_by_text("1 were read, of which 0 were known; 2 were turned away again"))
        page.context.close()
    with scene.database.transaction() as connection:
        run = find_run(connection, "replay")
        assert read_text(connection, run.id, "m") == "Oil climbs"


def charts(page):
    return page.locator(".stVegaLiteChart svg.marks")


def test_a_symbol_leads_from_now_to_its_page_and_to_its_documents(open_page):
    page = open_page(scheme="dark")
    settle(page)
    symbol = page.locator(".st-key-treemap path[aria-label^='HUB: 30 documents']")
    expect(symbol).to_be_visible(timeout=PATIENCE)
    symbol.click()
    expect(page).to_have_url(re.compile("subject=symbol%3AHUB"), timeout=PATIENCE)
    page.get_by_role("link", name="Open its page").last.click()
    expect(page).to_have_url(re.compile(r"/subject\?.*subject=symbol%3AHUB"), timeout=PATIENCE)
    see(page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("30"))
    see(charts(page).nth(3))
    see(found(page))
    wait_for_idle(page, PATIENCE)
    page.get_by_role("textbox", name="Search in titles and texts").fill('"at 12:58"')
    page.keyboard.press("Enter")
    see(page.get_by_text("1 text", exact=True))
    wait_for_idle(page, PATIENCE)
    page.get_by_role("link", name="All of them").click()
    expect(page).to_have_url(re.compile(r"/documents\?.*symbol=HUB"), timeout=PATIENCE)
    see(page.get_by_text("1 text", exact=True))


def test_a_link_lays_two_subjects_side_by_side_and_their_numbers_are_downloaded(watch, address):
    query = "run=replay&subject=topic%3AFinancials&against=topic%3AMacro&window=15m"
    page = watch(f"{address}subject?{query}")
    see(charts(page).first.get_by_text("Topic: Macro"))
    see(page.get_by_text("Financials · bank-run").first)
    see(charts(page).nth(4))
    wait_for_idle(page, PATIENCE)
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == 1 + 2 * (24 * 12 - 1)  # the last document came at 23:50
    charts(page).first.hover()
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name=re.compile("^Download as PNG: Rolling share")).click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_hostile_headline_is_only_text_on_the_page_of_its_topic(watch, address):
    page = watch(f"{address}subject?run=replay&subject=topic%3AFinancials&words=click")
    see(page.get_by_text("1 text", exact=True))
    see(found(page))
    wait_for_idle(page, PATIENCE)
    found(page).click(position={"x": 18, "y": 52})
    see(page.locator(".st-key-document").get_by_text("$x^2$ costs $5"))
    assert page.locator("img[src*=evil], a[href*=evil], a[href^=javascript], .katex").count() == 0


def test_the_page_of_a_subject_goes_on_without_being_drawn_anew(shared, watch, address):
    shared.add_documents("going-on", 40, symbols=("HUB",))
    page = watch(f"{address}subject?run=going-on&subject=symbol%3AHUB")
    see(page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("40"))
    see(charts(page))
    charts(page).first.evaluate("element => element.dataset.kept = 'yes'")
    shared.add_documents("going-on", 7, text="a later one", symbols=("HUB",))
    see(page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("47"))
    assert charts(page).first.get_attribute("data-kept") == "yes"


def test_a_run_is_played_paused_and_linked_to(watch, address):
    page = watch(f"{address}replays?run=replay&at=2026-03-09T12:30Z&speed=300", scheme="dark")
    firing = page.get_by_test_id("stMetric").filter(has_text="Firing alerts")
    see(firing.get_by_text("of 1 so far"))
    wait_for_idle(page, PATIENCE)
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    see(firing.get_by_text("of 0 so far"))
    expect(page).to_have_url(re.compile("at=2026-03-09T12%3A25Z"), timeout=PATIENCE)
    again = watch(page.url).get_by_test_id("stMetric").filter(has_text="It is")
    see(again.get_by_text("9 Mar 12:25"))
    page.get_by_role("button", name="Play", exact=True).click()
    see(firing.get_by_text(re.compile("^of [12] so far$")))
    page.get_by_role("button", name="Pause").click()
    see(page.get_by_role("button", name="Play", exact=True))
    expect(page).not_to_have_url(re.compile("at=2026-03-09T12%3A25Z"), timeout=PATIENCE)


def test_rules_are_compared_taken_away_and_linked_to(watch, address):
    page = watch(f"{address}replays?run=replay&part=compare")
    rules = {"name": "broken.toml", "mimeType": "text/plain", "buffer": b"[[rules]]\nname = 3\n"}
    field = page.locator(".st-key-file-b input[type=file]")
    field.set_input_files(rules)
    see(page.get_by_text("broken.toml:2: Expected `str`, got `int`"))
    field.set_input_files({**rules, "name": "mine.toml", "buffer": MINE})
    see(page.get_by_text("mine.toml: 1 rule"))
    page.get_by_role("button", name="Compare on this run").click()
    see(page.get_by_role("heading", name="Only B fired"))
    only = page.get_by_test_id("stMetric").filter(has_text="Only B")
    see(only.get_by_text("1", exact=True))
    wait_for_idle(page, PATIENCE)
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert [line.split(",")[:4] for line in lines if ",mine," in line] == [
        ["B", "mine", "source", "wire"]
    ]
    see(watch(page.url).get_by_text("mine.toml: 1 rule"))


def test_the_model_shows_its_mistakes_and_how_sure_it_is(watch, address):
    page = watch(f"{address}model", scheme="dark")
    see(page.get_by_role("heading", name="Reliability"))
    page.get_by_role("combobox", name="Test rows").click()
    page.get_by_role("option", name="topic: topic, published validation").click()
    expect(page).to_have_url(re.compile("test=topic"), timeout=PATIENCE)
    cell = page.locator("path[aria-label^='Energy | Oil, told rightly']")
    expect(cell).to_be_attached(timeout=PATIENCE)
    expect(page.locator("svg.marks").get_by_text("Probability given")).to_have_count(2)


@pytest.mark.parametrize(
    ("path", "width"),
    [
        *product(["documents", "documents?view=queue", "subject", "system"], [390, 1024]),
        *product(["replays", "replays?part=compare", "model"], [390]),
    ],
)
def test_no_page_needs_scrolling_sideways(watch, address, path, width):
    page = watch(f"{address}{path}", width=width)
    see(page.get_by_test_id("stDataFrame"))
    wait_for_idle(page, PATIENCE)
    overflow = "element => element.scrollWidth - element.clientWidth"
    assert page.locator("html").evaluate(overflow) == 0
    assert page.get_by_test_id("stMain").evaluate(overflow) == 0


def test_a_live_run_goes_on_without_being_drawn_anew(shared, watch, address):
    shared.add_documents("live", 10)
    page = watch(f"{address}?run=live")
    click_cell(page, "Macro, ")
    heatmap(page).evaluate("element => element.dataset.kept = 'yes'")
    shared.add_documents("live", 7, text="a later one")
    see(page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("17"))
    expect(heatmap(page).locator("path[aria-label*='of 5 ']").first).to_be_attached()
    assert heatmap(page).get_attribute("data-kept") == "yes"
    see(page.get_by_role("button", name="Only"))


def test_the_first_run_appears_by_itself(scene, watch, tmp_path):
    with launched(scene, tmp_path) as address:
        page = watch(address)
        see(page.get_by_text("No documents have come in yet"))
        scene.add_documents("replay", 5)
        see(heatmap(page))
        scene.finish("replay")
        see(page.get_by_text(re.compile("^Replay · ")))
        page.context.close()


@pytest.fixture(scope="module")
def firing(shared):
    """A run in which an alert fires, as the alerter makes it; its link."""
    desk = "https://tapewatch.example.com/"
    let_fire(shared.database, "watched", "<b>CPLB", severity=8, dashboard=desk)
    return f"alerts?run=watched&alert={alert_id('watched', 'mood', '<b>CPLB')}"


def test_an_alert_is_acknowledged_and_the_command_knows(
    shared, watch, address, firing, monkeypatch
):
    page = watch(f"{address}{firing}")
    see(page.locator(".st-key-alert").get_by_text("mood · <b>CPLB"))
    see(page.locator(".stVegaLiteChart svg.marks"))
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("textbox", name="Your name").fill("ann")
    page.get_by_role("textbox", name="Comment").fill("on the phone <i>with</i> the desk")
    page.get_by_role("button", name="Acknowledge").last.click()
    see(page.get_by_role("button", name="Take acknowledgement back"))

    monkeypatch.setenv("TAPEWATCH_DATABASE_URL", shared.database.url)
    done = CliRunner().invoke(
        alerting.app, ["show", "mood", "<b>CPLB", "--run", "watched", "--json"]
    )
    told = json.loads(done.stdout)
    assert told["acknowledged"]
    (action,) = told["actions"]
    assert (action["author"], action["comment"]) == ("ann", "on the phone <i>with</i> the desk")


@pytest.mark.parametrize("width", [390, 1024])
def test_the_page_of_alerts_needs_no_scrolling_sideways(watch, address, firing, width):
    page = watch(f"{address}{firing}", width=width)
    see(page.locator(".st-key-alert").get_by_text("mood · <b>CPLB"))
    see(page.locator(".stVegaLiteChart svg.marks"))
    wait_for_idle(page, PATIENCE)
    overflow = "element => element.scrollWidth - element.clientWidth"
    assert page.locator("html").evaluate(overflow) == 0
    assert page.get_by_test_id("stMain").evaluate(overflow) == 0


def test_an_alert_is_chosen_from_the_list_and_linked_to(watch, address, firing):
    page = watch(f"{address}{firing.partition('&')[0]}")
    box = page.locator("[class*=st-key-alert-list-] [data-testid=stDataFrame]")
    see(box)
    wait_for_idle(page, PATIENCE)
    box.click(position={"x": 18, "y": 52})
    see(page.locator(".st-key-alert").get_by_text("mood · <b>CPLB"))
    expect(page).to_have_url(re.compile("alert=[0-9a-f]{12}"), timeout=PATIENCE)


def test_a_firing_alert_is_opened_from_the_first_page(watch, address, firing):
    page = watch(f"{address}?run=watched")
    page.get_by_role("button", name="Open alert").click()
    see(page.locator(".st-key-alert").get_by_text("mood · <b>CPLB"))
    expect(page).to_have_url(re.compile(r"/alerts\?.*alert=[0-9a-f]{12}"), timeout=PATIENCE)


def test_the_link_of_a_message_opens_what_the_alert_is_about(shared, watch, address, firing):
    with shared.database.transaction() as connection:
        run = find_run(connection, "watched")
        message, *_ = actions.view_alert(connection, run, "mood", "<b>CPLB").messages
    link = message.payload["subject_link"]
    assert link in render(shipped("message.txt"), message.payload, str(message.id)).splitlines()

    page = watch(link.replace("https://tapewatch.example.com/", address))

    subject = page.get_by_role("combobox", name="Topic, symbol or source")
    expect(subject).to_have_value("Symbol: <b>CPLB", timeout=PATIENCE)
    see(page.get_by_text("<b>CPLB \u00b7 mood"))
    see(charts(page).first.get_by_text("mood \u00b7 <b>CPLB"))
    page.get_by_text("Why it fired").click()
    see(page.get_by_text("Judged: negative share"))
