"""A listener who has no mouse and no sight of the page: everything by keyboard, everything by role and
name.
"""

import json
import time

from rich.console import Console

from dia.config.listening_test import ListenConfig, VotesConfig
from dia.listening_test.commands import count_votes, write_test
from tests.browser.chromium import chromium, needs_chromium
from tests.listening_test.runs import record

pytestmark = needs_chromium
PATIENCE = 20.0  # seconds until a page must have done what it was asked for


class Listener:
    """Drives the page by keys and finds things by their accessible role and name."""

    def __init__(self, driver):
        self.driver = driver

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    @property
    def focused(self):
        found = self.driver.switch_to.active_element
        return found.aria_role, found.accessible_name

    def tab_to(self, role, name):
        """Press Tab until the focus is on a control; fail when it comes nowhere."""
        passed = []
        for _ in range(15):
            self.press("\ue004")
            passed.append(self.focused)
            if self.focused == (role, name):
                return
        raise AssertionError(f"{role} {name!r} is not reached by Tab, which passes {passed}")

    def wait(self, true, what):
        until = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < until, (
                f"never: {what}; the page says {self.text!r}; {self.driver.get_log('browser')}"
            )
            time.sleep(0.05)

    @property
    def text(self):
        return self.driver.find_element("tag name", "main").text

    @property
    def title(self):
        return self.driver.find_element("css selector", "section:not([hidden]) h2").text

    def hear(self, side):
        self.tab_to("button", f"Play sound {side}")
        self.press(" ")
        self.wait(
            lambda: self.driver.find_element("id", f"heard-{side.lower()}").text == "ScoredClip",
            f"sound {side} heard",
        )

    def choose(self, steps):
        """Go to the answers and move ``steps`` down from the first, which the space key chooses."""
        self.tab_to("radio", "Sound A")
        self.press(" ", *["\ue015"] * steps)

    def finish(self):
        self.press("\ue007")


def write(folder, **settings):
    """Write a test of two systems and a reference on two prompts; return its config."""
    runs = [
        record(folder / name, name, ["p1", "p2"], pitch, seconds=0.5, silence=(0.05, 0.05))
        for name, pitch in (("nano", 140), ("rival", 200), ("real", 100))
    ]
    config = ListenConfig(
        [str(run) for run in runs[:2]], str(folder / "page.html"), str(runs[2]), checks=1, **settings
    )
    write_test(config)
    return config


def test_everything_by_keyboard_with_a_reload_midway(tmp_path):
    config, downloads = write(tmp_path), tmp_path / "downloads"
    downloads.mkdir()
    with chromium(tmp_path / "profile", downloads) as driver:
        listener = Listener(driver)
        driver.get((tmp_path / "page.html").as_uri())
        assert listener.focused[1] == "Before you begin"
        listener.tab_to("textbox", "Listener number")
        listener.press("x", "\ue007")
        assert "must be a whole number" in driver.find_element("css selector", "[role=alert]").text
        listener.press("\ue003", "2", "\ue007")
        answer_all(listener, config)
        listener.tab_to("button", "Download answers")
        listener.press(" ")
        name = f"answers-{json.loads(config.key.read_text())['test']}-2.json"
        listener.wait(lambda: (downloads / name).is_file(), "the download")
        assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    check_answers(downloads / name, config)


def answer_all(listener, config):
    """Answer seven comparisons, in turn A, B and no difference, with mistakes, a reload and a way back."""
    key = json.loads(config.key.read_text())
    for number in range(1, 8):
        listener.wait(
            lambda number=number: listener.title == f"Comparison {number} of 7", f"comparison {number}"
        )
        if number == 1:
            check_roles(listener)
            listener.choose(0)
            listener.finish()
            assert "listen to both" in listener.driver.find_element("css selector", "[role=alert]").text
            listener.driver.find_element("id", "trial-title").send_keys(
                ""
            )  # back to the top, as F6 or a heading key does
        if number == 4:
            listener.driver.refresh()
            listener.wait(lambda: listener.title == "Comparison 4 of 7", "the comparison before the reload")
            assert (
                "Your answers were kept: 3 of 7"
                in listener.driver.find_element("css selector", "[role=status]").text
            )
        listener.hear("A")
        listener.hear("B")
        listener.choose((number - 1) % 3)
        listener.finish()
    listener.wait(lambda: listener.title == "Thank you", "the end")
    assert len(key["trials"]) == 7


def check_roles(listener):
    """What a screen reader is told of a comparison."""
    driver = listener.driver
    assert listener.focused[1] == "Comparison 1 of 7" and driver.title.startswith("Comparison 1 of 7")
    shown = [
        one
        for one in driver.find_elements("css selector", "button, input, progress, fieldset, [role]")
        if one.is_displayed()
    ]
    named = [(one.aria_role, one.accessible_name) for one in shown]
    for expected in (
        ("progressbar", "Comparison 1 of 7"),
        ("group", "Sound A"),
        ("button", "Play sound A"),
        ("slider", "Position in sound A"),
        ("group", "Sound B"),
        ("button", "Play sound B"),
        ("slider", "Position in sound B"),
        ("group", "Which of the two sounds more like two people really talking?"),
        ("radio", "Sound A"),
        ("radio", "Sound B"),
        ("radio", "No difference"),
        ("radio", "I could not hear both"),
        ("button", "Next"),
    ):
        assert expected in named, (expected, named)
    assert all(name for role, name in named if role not in ("status", "alert")), named
    assert driver.find_element("tag name", "html").get_attribute("lang") == "en"
    assert driver.find_element("css selector", "#script li").text.startswith("Speaker 1: This is p")


def check_answers(path, config):
    """The downloaded file counts, and says what was chosen."""
    answers = json.loads(path.read_text())
    assert [one["choice"] for one in answers["answers"]] == [
        "left",
        "right",
        "tie",
        "left",
        "right",
        "tie",
        "left",
    ]
    assert (
        all(one["plays"] == [1, 1] for one in answers["answers"])
        and answers["listener"] == 2
        and answers["form"] == 1
    )
    found = count_votes(
        VotesConfig([str(path)], str(config.key), 0.0, str(path.with_name("votes.json"))), Console(quiet=True)
    )
    votes = found.listeners[0].votes
    assert (
        len(votes) == 6
        and len(found.listeners[0].checks) == 1
        and {vote.prompt_id for vote in votes} == {"p1", "p2"}
    )
    written = json.loads(path.with_name("votes.json").read_text())
    assert written["votes"] == 6 and written["win_matrix"].keys() == {"nano", "rival", "real"}


def test_sounds_beside_the_page_play_a_missing_one_is_said_and_an_answer_can_be_changed(tmp_path):
    config = write(tmp_path, sounds="beside")
    with chromium(tmp_path / "profile", tmp_path) as driver:
        listener = Listener(driver)
        driver.get((tmp_path / "page.html").as_uri())
        listener.tab_to("textbox", "Listener number")
        listener.press("1", "\ue007")
        listener.hear("A")
        listener.hear("B")
        for path in config.audio_folder.iterdir():
            path.rename(path.with_suffix(".gone"))
        listener.choose(0)
        listener.finish()
        listener.wait(lambda: listener.title == "Comparison 2 of 7", "the second comparison")
        listener.wait(lambda: "cannot be played" in listener.text, "a word about the missing sound")
        listener.choose(3)
        listener.finish()
        listener.wait(lambda: listener.title == "Comparison 3 of 7", "the third comparison")
        listener.tab_to("button", "Back")
        listener.press("\ue007")
        listener.wait(lambda: listener.title == "Comparison 2 of 7", "the second comparison again")
        listener.tab_to("radio", "I could not hear both")
        listener.press("\ue013")
        assert (
            driver.find_element("css selector", "input[name=choice]:checked").accessible_name
            == "No difference"
        )
        listener.finish()
        assert "listen to both" in driver.find_element("css selector", "[role=alert]").text
