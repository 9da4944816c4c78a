"""The report of three systems in a browser: the answer is on the first screen, also of a telephone."""

import numpy as np
import pytest

from dia.evaluation.cache import ContentCache
from dia.evaluation.published import load_published
from dia.evaluation.report import render_report
from tests.browser.chromium import chromium, needs_chromium
from tests.evaluation.loudness import prompt, results_of, system_of

pytestmark = [needs_chromium, pytest.mark.slow]
SCREENS = {1400: 900, 400: 800}  # width and height in pixels


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    cache = ContentCache(folder / "cache")
    levels = np.random.default_rng(0).uniform(0.1, 0.3, 12)
    systems = [
        system_of("model", levels, cache),
        system_of("elevenlabs", levels + 0.3, cache),
        system_of("a system with a long name (its second run)", levels[:8] - 0.05, cache,
                  [(prompt(number), "timeout: no response") for number in range(8, 12)]),
    ]  # fmt: skip
    path = folder / "report.html"
    path.write_text(render_report(results_of(*systems), load_published()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def driver(page):
    with chromium(page.parent / "profile", page.parent) as driver:
        yield driver


def open_page(driver, page, width):
    screen = {"width": width, "height": SCREENS[width], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.get(page.as_uri())


@pytest.mark.parametrize("width", SCREENS)
def test_the_answer_is_on_the_first_screen_and_nothing_is_wider_than_the_page(driver, page, width):
    open_page(driver, page, width)
    leads = driver.find_elements("css selector", ".lead")
    best = (
        "elevenlabs is better than every other system: model and a system with a long name (its second run)."
    )
    assert leads[0].text == best
    for lead in leads[:2]:
        assert lead.rect["y"] + lead.rect["height"] < SCREENS[width]
    widths = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], widths


def test_the_policy_of_the_page_blocks_nothing_of_it(driver, page):
    open_page(driver, page, 1400)
    assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    loaded = driver.execute_script(
        "return [...document.images].map(image => image.naturalWidth).concat("
        "[...document.querySelectorAll('svg image')].map(image => image.getBBox().width))"
    )
    assert loaded and all(loaded)
    player = driver.find_element("css selector", "audio")
    driver.execute_script("arguments[0].load()", player)
    driver.set_script_timeout(20)
    seconds = driver.execute_async_script(
        "const [player, done] = arguments; player.preload = 'auto'; player.onerror = () => done(-1);"
        "player.onloadedmetadata = () => done(player.duration); player.load();",
        player,
    )
    assert seconds == pytest.approx(0.1, abs=0.05)


def test_the_link_to_what_was_not_measured_opens_it(driver, page):
    open_page(driver, page, 400)
    target = driver.find_element("id", "not-measured")
    assert not target.is_displayed()
    driver.find_element("css selector", "a[href='#not-measured']").click()
    assert target.is_displayed()
