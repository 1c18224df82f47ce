"""The page in a real browser, from a file, without a network."""

import re
import shutil

import pytest
from conftest import needs
from paged import GAMES, make_run

from workflow_src import layout
from workflow_src.report.names import DASH

pytestmark = pytest.mark.slow

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def written(run):
    """The path of the page."""
    run.write(run.directory / layout.PAGE.path)
    return run.directory / layout.PAGE.path


@pytest.fixture(scope="module")
def browser():
    needs("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, written):
    """Open the page at an address; at the end there was no request but for the file itself, and no
    complaint.
    """
    requests, complaints, contexts = [], [], []

    def visit(address="", wait=True, **settings):
        contexts.append(browser.new_context(**settings))
        contexts[-1].set_default_timeout(15_000)
        tab = contexts[-1].new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(f"{written.as_uri()}#{address}")
        if wait:
            tab.wait_for_selector(".view.shown[data-ready]")
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert {
        re.sub("#.*", "", url) for url in requests if not url.startswith(("data:", "blob:"))
    } <= {written.as_uri()}
    assert complaints == []


def column(tab, section, number):
    return tab.eval_on_selector_all(
        f"#{section} tbody tr td:nth-child({number})", "cells => cells.map(c => c.textContent)"
    )


def views(tab):
    return tab.eval_on_selector_all(
        ".view", "views => views.filter(v => v.checkVisibility()).map(v => v.id)"
    )


def until(tab, found, expected):
    """Wait until ``found()`` is ``expected``: a browser draws when it has time to."""
    for _ in range(250):
        if found() == expected:
            return
        tab.wait_for_timeout(20)
    assert found() == expected


def background(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


def overflow(tab):
    return tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("address", ["", "tables", "figures", *(f"game={game}" for game in GAMES)])
def test_every_page_opens_without_a_request_or_complaint(visit, address):
    tab = visit(address)
    until(tab, lambda: views(tab), [address or "overview"])
    tab.eval_on_selector_all(".view.shown details", "all => all.forEach(one => one.open = true)")
    for image in tab.query_selector_all(".view.shown img"):
        image.scroll_into_view_if_needed()
        tab.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image)
    assert tab.query_selector_all(".view.shown table.sheet:not(.dataTable)") == []


def test_the_policy_forbids_requests(browser, written):
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(written.as_uri())
        assert (
            tab.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went', error => error.name)")
            == "TypeError"
        )
        refused = (
            "new Promise(r => { document.addEventListener('securitypolicyviolation', e => "
            "r(e.effectiveDirective));"
        )
        assert (
            tab.evaluate(refused + "new Image().src = 'http://127.0.0.1:9/a.png' })") == "img-src"
        )


def test_a_table_sorts_numbers_as_numbers(visit):
    tab = visit("tables")
    until(tab, lambda: column(tab, "odd-csv", 2), ["9", "100", DASH, "10", "11", "12", "13"])
    tab.click("#odd-csv thead th:nth-child(2)")
    until(tab, lambda: column(tab, "odd-csv", 2), [DASH, "9", "10", "11", "12", "13", "100"])
    tab.click("#odd-csv thead th:nth-child(2)")
    until(tab, lambda: column(tab, "odd-csv", 2), ["100", "13", "12", "11", "10", "9", DASH])


def test_a_table_below_two_rows_of_heads_sorts(visit):
    tab = visit("game=mspacman")
    tab.click("#variables-mspacman thead tr:nth-child(2) th:nth-child(1)")
    found = sorted(column(tab, "variables-mspacman", 3), key=float)
    until(tab, lambda: column(tab, "variables-mspacman", 3), found)
    tab.click(
        "#variables-mspacman thead th.group >> nth=0"
    )  # a head of several columns sorts nothing
    tab.wait_for_timeout(100)
    assert column(tab, "variables-mspacman", 3) == found


def test_a_table_filters(visit):
    tab = visit("tables")
    tab.get_by_role("searchbox", name="Filter rows of Odd").fill("plain")
    until(tab, lambda: column(tab, "odd-csv", 1), ["mspacman"])
    tab.fill("#odd-csv input[type=search]", "")
    until(tab, lambda: len(column(tab, "odd-csv", 1)), 7)


def test_games_are_chosen_by_list_link_and_address(visit):
    tab = visit()
    tab.select_option("#game", "boxing")
    tab.wait_for_selector("[id='game=boxing'].shown[data-ready]")
    until(tab, lambda: views(tab), ["game=boxing"])
    assert tab.url.endswith("#game=boxing")
    assert tab.title() == "boxing – AtariARI report"
    tab.click("a[rel=next]:visible")
    until(tab, lambda: views(tab), ["game=mspacman"])
    assert tab.input_value("#game") == "mspacman"
    tab.go_back()
    until(tab, lambda: views(tab), ["game=boxing"])
    tab.click("header nav a[href='#figures']")
    until(tab, lambda: views(tab), ["figures"])
    assert tab.get_attribute("header nav a[href='#figures']", "aria-current") == "page"
    assert tab.input_value("#game") == ""
    assert views(visit("pong")) == ["game=pong"]  # the short form
    assert views(visit("nothing%20there")) == ["overview"]


def test_an_address_inside_of_a_page_opens_it(visit):
    tab = visit("odd-csv")
    until(tab, lambda: views(tab), ["tables"])
    assert tab.evaluate(
        "document.getElementById('odd-csv').getBoundingClientRect().top < innerHeight"
    )


def test_light_and_dark_follow_the_system_and_the_button(visit):
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    white, black = background(light), background(dark)
    assert white != black
    light.click("#theme")
    until(light, lambda: background(light), black)
    assert light.get_attribute("#theme", "aria-pressed") == "true"
    light.reload()
    until(light, lambda: background(light), black)  # remembered
    light.click("#theme")
    until(light, lambda: background(light), white)
    dark.emulate_media(color_scheme="light")
    until(dark, lambda: background(dark), white)
    paper = visit("figures", color_scheme="dark").eval_on_selector(
        ".picture", "box => getComputedStyle(box).backgroundColor"
    )
    assert min(map(int, re.findall(r"\d+", paper)[:3])) > 230  # figures are drawn for white


def test_it_works_where_nothing_can_be_remembered(visit, browser, written):
    with browser.new_context(color_scheme="light") as context:
        context.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new "
            "Error('forbidden') } })"
        )
        tab = context.new_page()
        tab.goto(written.as_uri())
        before = background(tab)
        tab.click("#theme")
        until(tab, lambda: background(tab) != before, True)


@pytest.mark.parametrize("address", ["", "tables", "figures", "game=mspacman"])
def test_a_phone_never_scrolls_sideways(visit, address):
    tab = visit(address, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    assert overflow(tab) == 0
    assert tab.evaluate("visualViewport.scale") == 1


def test_wide_tables_scroll_in_their_box(visit):
    tab = visit("game=mspacman", viewport={"width": 390, "height": 844})
    box = tab.query_selector("#variables-mspacman [role=region]")
    assert box.evaluate("box => [box.scrollWidth > box.clientWidth, box.tabIndex]") == [True, 0]


def test_the_keyboard_is_enough(visit):
    tab = visit()

    def go_to(what):
        for _ in range(200):
            tab.keyboard.press("Tab")
            if tab.evaluate("what => document.activeElement.closest(what) !== null", what):
                return
        raise AssertionError(f"Tab never comes to {what}")

    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    go_to("a[href='#tables']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#tables.shown[data-ready]")
    until(tab, lambda: tab.evaluate("document.activeElement.tagName"), "H1")
    go_to("#odd-csv th:nth-child(2)")
    tab.keyboard.press("Enter")
    until(tab, lambda: column(tab, "odd-csv", 2)[1:3], ["9", "10"])
    tab.focus("#game")
    tab.keyboard.press("p")
    tab.wait_for_selector("[id='game=pong'].shown")
    until(
        tab, lambda: tab.evaluate("document.activeElement.id"), "game"
    )  # who steps through the list stays in it
    tab.focus(".skip")
    tab.keyboard.press("Enter")
    until(tab, lambda: tab.evaluate("document.activeElement.id"), "content")
    assert views(tab) == ["game=pong"]


def test_an_animation_plays_when_it_is_asked_for(visit):
    tab = visit("game=pong")
    assert not tab.is_visible(".view.shown .animation img")
    tab.focus(".view.shown .animation summary")
    tab.keyboard.press("Enter")
    until(tab, lambda: tab.is_visible(".view.shown .animation img"), True)


def test_without_scripts_all_can_be_read(browser, written):
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(written.as_uri())
        assert (
            tab.locator("#overview").is_visible()
            and tab.locator("[id='game=pong'] table").first.is_visible()
        )
        assert not tab.locator("#theme").is_visible() and not tab.locator("#game").is_visible()


def test_tables_show_one_protocol_at_a_time(visit):
    tab = visit("game=boxing")
    assert set(column(tab, "variables-boxing", 2)) == {"paper"}
    tab.select_option("#protocol", "corrected")
    until(tab, lambda: set(column(tab, "variables-boxing", 2)), {"corrected"})
    tab.select_option("#protocol", "")
    until(tab, lambda: set(column(tab, "variables-boxing", 2)), {"paper", "corrected"})


def test_what_stands_beside_f1_is_shown_where_there_is_room_or_on_demand(visit):
    def heads(tab):
        return tab.eval_on_selector_all(
            "#variables-boxing thead th",
            "heads => heads.filter(h => h.checkVisibility()).map(h => h.innerText.trim())",
        )

    wide = visit("game=boxing", viewport={"width": 1800, "height": 900})
    until(wide, lambda: "accuracy" in heads(wide), True)
    narrow = visit("game=boxing", viewport={"width": 390, "height": 800})
    until(narrow, lambda: ("F1" in heads(narrow), "accuracy" in heads(narrow)), (True, False))
    narrow.check("#more")
    until(narrow, lambda: "accuracy" in heads(narrow), True)


def test_the_first_screen_has_a_picture_and_the_page_its_configuration(visit):
    tab = visit("", viewport={"width": 1440, "height": 900})
    box = tab.locator("#overview .picture img").first.bounding_box()
    assert box["y"] + box["height"] < 900
    tab.click("text=The configuration, whole")
    assert "label_set: paper-2019" in tab.locator(".configuration").inner_text()
