"""The listening test in a browser, by keyboard only, with controls located by accessible role and name."""

import json

from rich.console import Console

from dia.config.listening_test import ListenConfig, VotesConfig
from dia.listening_test.commands import count_votes, write_test
from tests.browser.chromium import chromium, needs_chromium
from tests.browser.keyboard import KeyboardUser
from tests.listening_test.recorded_runs import record

pytestmark = needs_chromium


class Listener(KeyboardUser):
    """Operate the page of a listening test."""

    @property
    def title(self):
        return self.driver.find_element("css selector", "section:not([hidden]) h2").text

    def play(self, side):
        self.tab_to("button", f"Play clip {side}")
        self.press(" ")
        self.wait(
            lambda: self.driver.find_element("id", f"state-{side.lower()}").text == "Played",
            f"clip {side} played",
        )

    def choose(self, steps):
        """Go to the first answer, choose it with the space key, and move ``steps`` down."""
        self.tab_to("radio", "Clip A")
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
        assert listener.focused[1] == "Before you start"
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
    """Answer seven comparisons in turn with A, B and no difference, with mistakes and a reload."""
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
            )  # focus the heading, as a screen reader's heading key does
        if number == 4:
            listener.driver.refresh()
            listener.wait(
                lambda: listener.title == "Comparison 4 of 7", "the comparison from before the reload"
            )
            assert (
                "Your answers are stored: 3 of 7"
                in listener.driver.find_element("css selector", "[role=status]").text
            )
        listener.play("A")
        listener.play("B")
        listener.choose((number - 1) % 3)
        listener.finish()
    listener.wait(lambda: listener.title == "Thank you", "the end")
    assert len(key["trials"]) == 7


def check_roles(listener):
    """Verify what a screen reader announces for a comparison."""
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
        ("group", "Clip A"),
        ("button", "Play clip A"),
        ("slider", "Position in clip A"),
        ("group", "Clip B"),
        ("button", "Play clip B"),
        ("slider", "Position in clip B"),
        ("group", "Which of the two sounds more like two people really talking?"),
        ("radio", "Clip A"),
        ("radio", "Clip B"),
        ("radio", "No difference"),
        ("radio", "I could not play both clips"),
        ("button", "Next"),
    ):
        assert expected in named, (expected, named)
    assert all(name for role, name in named if role not in ("status", "alert")), named
    assert driver.find_element("tag name", "html").get_attribute("lang") == "en"
    assert driver.find_element("css selector", "#script li").text.startswith("Speaker 1: This is p")


def check_answers(path, config):
    """Verify the downloaded choices, and that they are counted."""
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
    counted = count_votes(
        VotesConfig([str(path)], str(config.key), 0.0, str(path.with_name("votes.json"))), Console(quiet=True)
    )
    votes = counted.listeners[0].votes
    assert (
        len(votes) == 6
        and len(counted.listeners[0].checks) == 1
        and {vote.prompt_id for vote in votes} == {"p1", "p2"}
    )
    written = json.loads(path.with_name("votes.json").read_text())
    assert written["votes"] == 6 and written["win_matrix"].keys() == {"nano", "rival", "real"}


def test_clips_beside_the_page_play_a_missing_one_is_reported_and_an_answer_can_change(tmp_path):
    config = write(tmp_path, audio="beside")
    with chromium(tmp_path / "profile", tmp_path) as driver:
        listener = Listener(driver)
        driver.get((tmp_path / "page.html").as_uri())
        listener.tab_to("textbox", "Listener number")
        listener.press("1", "\ue007")
        listener.play("A")
        listener.play("B")
        for path in config.audio_folder.iterdir():
            path.rename(path.with_suffix(".gone"))
        listener.choose(0)
        listener.finish()
        listener.wait(lambda: listener.title == "Comparison 2 of 7", "the second comparison")
        listener.wait(lambda: "cannot be played" in listener.text, "a message about the missing clip")
        listener.choose(3)
        listener.finish()
        listener.wait(lambda: listener.title == "Comparison 3 of 7", "the third comparison")
        listener.tab_to("button", "Back")
        listener.press("\ue007")
        listener.wait(lambda: listener.title == "Comparison 2 of 7", "the second comparison again")
        listener.tab_to("radio", "I could not play both clips")
        listener.press("\ue013")
        assert (
            driver.find_element("css selector", "input[name=choice]:checked").accessible_name
            == "No difference"
        )
        listener.finish()
        assert "listen to both" in driver.find_element("css selector", "[role=alert]").text
