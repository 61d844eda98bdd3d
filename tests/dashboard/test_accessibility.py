"""The pages by keyboard and by ear: a launched dashboard, a real Chromium, and axe-core."""

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.alerting import let_fire
from support.browser import wait_for_idle
from support.dashboard import launched

from alerts.common.links import alert_id

PATIENCE = 60_000
GRAVE = {"serious", "critical"}
FIRING = f"alerts?run=watched&alert={alert_id('watched', 'mood', 'HUB')}"
PAGES = {
    "now": ("?run=replay", ".st-key-treemap svg.marks"),
    "subject": ("subject?run=replay&subject=topic%3AFinancials", ".stVegaLiteChart svg.marks"),
    "alerts": (FIRING, ".st-key-alert"),
    "documents": ("documents?run=replay", "[data-testid=stDataFrame]"),
    "replays": ("replays?run=replay", ".stVegaLiteChart svg.marks"),
    "rules": ("replays?run=replay&part=compare", "[data-testid=stDataFrame]"),
    "model": ("model", "[data-testid=stDataFrame]"),
    "system": ("system?run=replay", "[data-testid=stDataFrame]"),
}
"""A link of each page, and what is there when it is drawn."""

EVERY_CHART_IS_TOLD = """
() => document.querySelectorAll(".stVegaLiteChart svg.marks").length
    === document.querySelectorAll("[class*=st-key-told-]").length
"""


@pytest.fixture(scope="module")
def shared(postgres, new_scene) -> Iterator:
    with postgres.database() as url:
        scene = new_scene(url)
        scene.tell_story()
        let_fire(scene.database, "watched", "HUB", severity=8)
        yield scene
        scene.close()


@pytest.fixture(scope="module")
def address(shared, tmp_path_factory) -> Iterator[str]:
    with launched(shared, tmp_path_factory.mktemp("dashboard")) as address:
        yield address


@pytest.fixture
def watch(browser, address) -> Iterator[Callable[..., Page]]:
    contexts = []

    def opened(path, shows, scheme="light") -> Page:
        viewport = {"width": 1440, "height": 3200}
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address + path)
        expect(page.locator(shows).first).to_be_visible(timeout=PATIENCE)
        wait_for_idle(page, PATIENCE)
        return page

    yield opened
    for context in contexts:
        context.close()


def grave_faults(page) -> list[str]:
    """What axe calls serious or critical, and headings that leave out a level.

    Nothing is left out: Streamlit's own is mended by us.
    """
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['html'][:200]}"
        for fault in found
        if fault["impact"] in GRAVE or fault["id"] == "heading-order"
        for node in fault["nodes"]
    ]


def lasting_faults(page) -> list[str]:
    """Those that are still there a moment later: while a part of a page is drawn anew, which a
    busy machine takes its time for, Streamlit fades what was there before."""
    for _ in range(3):
        found = grave_faults(page)
        if not found:
            break
        page.wait_for_timeout(1_500)
        wait_for_idle(page, PATIENCE)
    return found


@pytest.mark.parametrize(
    ("name", "scheme"), [*((name, "light") for name in PAGES), ("now", "dark")]
)
def test_a_page_has_no_grave_fault(watch, name, scheme):
    page = watch(*PAGES[name], scheme)
    page.wait_for_function(EVERY_CHART_IS_TOLD, timeout=PATIENCE)
    told = page.locator("[class*=st-key-told-]").all_text_contents()
    assert lasting_faults(page) == []
    assert [text for text in told if not re.search(r"\d|Nothing in this span|Too few", text)] == []


def test_axe_finds_what_is_wrong(watch):
    page = watch(*PAGES["documents"])
    wrong = "<h2>Far</h2><h5>too small</h5><img src='data:,'>"
    page.evaluate("html => { document.querySelector('main').innerHTML += html }", wrong)
    found = {fault.split(":")[0] for fault in grave_faults(page)}
    assert {"image-alt", "heading-order"} <= found


def tab_to(page, wanted) -> None:
    """Press Tab until something is in focus that is ``wanted``, and can be seen to be."""
    for _ in range(90):
        page.keyboard.press("Tab")
        if wanted.evaluate_all("all => all.includes(document.activeElement)"):
            return
    pytest.fail(f"Tab does not lead to {wanted}")


def test_a_cell_of_the_heatmap_is_chosen_by_keyboard(watch):
    page = watch(*PAGES["now"])
    tab_to(page, page.get_by_role("combobox", name="Timeline and documents of"))
    page.keyboard.type("Financials")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("subject=topic%3AFinancials"), timeout=PATIENCE)
    wait_for_idle(page, PATIENCE)
    time = page.get_by_role("combobox", name="Time of a cell")
    tab_to(page, time)
    page.keyboard.type("12:00")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Only 9 Mar 12:00")).to_be_visible(timeout=PATIENCE)
    wait_for_idle(page, PATIENCE)
    expect(time).to_be_focused()
    read = page.locator("[role=gridcell]").filter(has_text="Financials at 12:58")
    expect(read.first).to_be_attached(timeout=PATIENCE)


def test_an_alert_is_opened_from_the_list_by_keyboard(watch):
    page = watch("alerts?run=watched", "[class*=st-key-alert-list-] canvas")
    tab_to(page, page.locator("[class*=st-key-alert-list-] canvas"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    expect(page.locator(".st-key-alert").get_by_text("mood · HUB")).to_be_visible(timeout=PATIENCE)
    assert "alert=" in page.url


def test_a_subject_is_chosen_and_its_documents_are_searched_by_keyboard(watch):
    page = watch("subject?run=replay", ".stVegaLiteChart svg.marks")
    tab_to(page, page.get_by_role("combobox", name="Topic, symbol or source"))
    page.keyboard.type("HUB")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("subject=symbol%3AHUB"), timeout=PATIENCE)
    wait_for_idle(page, PATIENCE)
    tab_to(page, page.get_by_role("radiogroup", name="Rolling over").get_by_role("radio"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("window=15m"), timeout=PATIENCE)
    wait_for_idle(page, PATIENCE)
    tab_to(page, page.get_by_role("textbox", name="Search in titles and texts"))
    page.keyboard.type('"at 12:58"')
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 text", exact=True)).to_be_visible(timeout=PATIENCE)


def test_a_document_is_found_and_opened_by_keyboard(watch):
    page = watch(*PAGES["documents"])
    tab_to(page, page.get_by_role("textbox", name="Search in titles and texts"))
    page.keyboard.type('"at 12:58"')
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 text", exact=True)).to_be_visible(timeout=PATIENCE)
    wait_for_idle(page, PATIENCE)
    tab_to(page, page.locator("[class*=st-key-found-] canvas"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    expect(page.get_by_role("button", name="Close")).to_be_visible(timeout=PATIENCE)


def test_whatever_is_in_focus_can_be_seen_to_be(watch):
    page = watch(*PAGES["now"])
    unseen, seen = [], 0
    for _ in range(40):
        page.keyboard.press("Tab")
        how = page.evaluate(
            """() => {
                const at = document.activeElement, style = getComputedStyle(at);
                if (!at.matches('a, button, summary')) return null;
                const bar = at.closest('[data-testid=stElementToolbar]');
                return [at.innerText || at.ariaLabel, style.outlineStyle, style.outlineWidth,
                    bar ? getComputedStyle(bar).opacity : '1'];
            }"""
        )
        if how is not None:
            seen += 1
            unseen += [how] * (how[1:] != ["solid", "2px", "1"])
    assert unseen == []
    assert seen > 20


def test_what_fires_is_said_once_and_the_focus_stays_where_it_is(shared, watch):
    shared.add_documents("live", 10)
    page = watch("?run=live", ".st-key-treemap, [class*=st-key-heatmap] svg.marks")
    said = page.locator("[role=status][aria-live=polite]")
    expect(said).to_have_text("No alert is firing.", timeout=PATIENCE)
    said.evaluate(
        """region => {
            window.changes = [];
            new MutationObserver(() => window.changes.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )
    chooser = page.get_by_role("combobox", name="Timeline and documents of")
    chooser.focus()
    shared.add_documents("live", 7, text="a later one")
    metric = page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("17")
    expect(metric).to_be_visible(timeout=PATIENCE)
    shared.add_alert("live", "<b>loud", key="Macro", fired=0.5)
    loud = "1 alert is firing: Macro · <b>loud"
    expect(said).to_have_text(loud, timeout=PATIENCE)
    expect(page.locator(".st-key-alert-card-0")).to_be_visible(timeout=PATIENCE)
    shared.add_documents("live", 3, text="the last")
    metric = page.get_by_test_id("stMetric").filter(has_text="Documents").get_by_text("20")
    expect(metric).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("window.changes") == [loud]
    expect(chooser).to_be_focused()
