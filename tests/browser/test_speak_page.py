"""The server's page in a browser: a session by keyboard, the microphone, a key, hostile texts, screens."""

import time

import httpx
import pytest
import soundfile

from dia.serving.recognition import SpeechRecognition
from tests.browser.chromium import chromium, needs_chromium
from tests.browser.keyboard import ENTER, ESCAPE, TAB, KeyboardUser
from tests.serving.conftest import make_dia, serving
from tests.serving.recognisers import NotInstalled, ScriptReader

pytestmark = [needs_chromium, pytest.mark.slow]
SEED = 27  # with it the tiny model ends by itself
TABS = 60  # more than the page has controls


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speak")
    (folder / "report.html").write_text(
        "<!doctype html><link rel=icon href=data:,><title>report</title>A report."
    )
    (folder / "secret.txt").write_text("secret")
    with serving(
        make_dia(), voices=str(folder / "voices"), pages=[str(folder / "report.html")],
        recognition=SpeechRecognition(ScriptReader()),
    ) as (address, _):  # fmt: skip
        yield address, folder


@pytest.fixture(scope="module")
def driver(served):
    _, folder = served
    (folder / "downloads").mkdir()
    with chromium(folder / "profile", folder / "downloads") as driver:
        yield driver


@pytest.fixture
def user(served, driver):
    driver.get(served[0])
    user = KeyboardUser(driver, TABS)
    user.wait(lambda: "about " in element(driver, "summary").text, "the page is ready")
    yield user
    logged = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in logged if "status of 400" not in entry["message"]]


def element(driver, name):
    return driver.find_element("id", name)


def write_script(user, text):
    """Replace the script by keys."""
    user.tab_to("textbox", "Script")
    user.press_with_control("a")
    user.press(text)


def take_status(user):
    return [status.text for status in user.driver.find_elements("css selector", "[data-part=status]")]


def wait_for_take(user, count=1):
    user.wait(lambda: sum("of speech in" in text for text in take_status(user)) == count, "the take", 60)


def test_a_session_by_keyboard(user, served):
    driver, (address, folder) = user.driver, served
    write_script(user, "[S1] We were lost. (laufs) [S2] Yes. ")
    user.wait(lambda: "(laufs) is not a tag" in element(driver, "problems").text, "the lint")
    user.tab_to("button", "(laughs)")  # from the last control on to the first
    user.press(ENTER)
    assert element(driver, "text").get_attribute("value").endswith("[S2] Yes. (laughs) ")
    user.tab_to("spinbutton", "Seed")
    user.press(str(SEED))
    user.press_with_control(ENTER)
    wait_for_take(user)
    user.wait(lambda: "were not recognised" in user.text, "the words are marked")
    words = driver.find_elements("css selector", "button.word")
    assert [word.text for word in words] == ["We", "were", "lost.", "Yes."]
    missed = [word.text for word in words if "missed" in word.get_attribute("class")]
    assert missed == ["lost."]
    user.tab_to("button", "Yes.")
    user.press(ENTER)
    user.wait(lambda: driver.execute_script("return !document.querySelector('article audio').paused"), "play")
    user.press(ESCAPE)
    user.wait(lambda: driver.execute_script("return document.querySelector('article audio').paused"), "stop")
    user.tab_to("link", "Save as WAV")
    user.press(ENTER)
    file = folder / "downloads" / f"dia-take-1-seed-{SEED}.wav"
    user.wait(file.is_file, "the download")
    body = {"input": "[S1] We were lost. (laufs) [S2] Yes. (laughs)", "seed": SEED, "response_format": "wav"}
    saved, rate = soundfile.read(file, dtype="int16")
    wanted = httpx.post(f"{address}/v1/audio/speech", json=body, timeout=60).content
    assert rate == 16_000 and abs(2 * len(saved) + 44 - len(wanted)) <= 2
    user.tab_to("button", "Remove")
    user.press(ENTER)
    assert element(driver, "no-takes").is_displayed() and user.focused[1] == "Takes"


def test_takes_with_seeds_of_their_own_stand_side_by_side(user):
    driver = user.driver
    user.tab_to("spinbutton", "Takes")
    user.press_with_control("a")
    user.press("3", TAB, "5")
    user.press_with_control(ENTER)
    user.wait(lambda: len(take_status(user)) == 3, "three takes")
    wait_for_take(user, 3)
    settings = [item.text for item in driver.find_elements("css selector", "[data-part=settings]")]
    assert [text.rpartition(" ")[2] for text in settings] == ["5", "6", "7"]
    driver.find_elements("css selector", "[data-part=repeat]")[2].click()
    assert element(driver, "seed").get_attribute("value") == "7"


def test_a_voice_by_microphone(user, served):
    """Chromium's fake microphone beeps; the recording ends after five seconds and more."""
    driver, (address, _) = user.driver, served
    element(driver, "new-voice").find_element("tag name", "summary").click()
    user.tab_to("button", "Record with the microphone")
    user.press(ENTER)
    user.wait(lambda: element(driver, "record").text == "Stop recording", "the recording begins")
    time.sleep(6)
    user.press(ENTER)
    user.wait(lambda: "Correct the transcript" in element(driver, "new-status").text, "the transcript")
    assert element(driver, "new-transcript").get_attribute("value") == "[S1] speech"
    user.tab_to("textbox", "Transcript of all its words")
    user.press_with_control("a")
    user.press("[S1] We walked along the river until it was dark, all of us.")
    user.tab_to("textbox", "Name")
    user.press("../anna")
    user.tab_to("button", "Save the voice")
    user.press(ENTER)
    user.wait(lambda: "cannot be the name of a voice" in element(driver, "new-status").text, "the refusal")
    name = element(driver, "new-name")
    name.clear()
    name.send_keys("anna")
    element(driver, "save-voice").click()
    user.wait(lambda: "is saved and chosen" in element(driver, "new-status").text, "the voice is saved")
    user.wait(lambda: element(driver, "voice").get_attribute("value") == "anna", "the voice is chosen")
    user.wait(lambda: "river" in element(driver, "voice-transcript").text, "the transcript of the voice")
    user.wait(lambda: element(driver, "voice-audio").get_attribute("src").startswith("blob:"), "its sound")
    assert httpx.get(f"{address}/v1/audio/voices").json()["voices"] == ["default", "anna"]
    user.wait(lambda: "record both speakers" in element(driver, "problems").text, "the lint for the voice")
    write_script(user, "[S1] Hello there.")
    user.press_with_control(ENTER)
    wait_for_take(user)


def test_markup_in_a_script_stays_text(user):
    driver = user.driver
    write_script(
        user, "[S1] <img src=x onerror=alert(1)> (<b>hi</b>) [S2] </script><script>alert(1)</script>"
    )
    user.wait(lambda: "<b>" in element(driver, "problems").text, "the lint")
    element(driver, "speak").click()
    user.wait(lambda: take_status(user) and "waiting" not in take_status(user)[0], "the take")
    assert not driver.find_elements("css selector", "main img, main b:not([class]) b, main script")
    assert "<img src=x" in driver.find_element("css selector", "article [data-part=script]").text


@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_is_wider_than_the_screen(user, width):
    driver = user.driver
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    element(driver, "new-voice").find_element("tag name", "summary").click()
    element(driver, "speak").click()
    wait_for_take(user)
    widths = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_report_opens_from_the_page_and_nothing_else_of_its_folder(user, served):
    driver, (address, _) = user.driver, served
    driver.find_element("link text", "report.html").click()
    user.wait(lambda: driver.title == "report", "the report") if driver.title != "report" else None
    for path in (
        "/pages/0/secret.txt",
        "/pages/0/..%2f..%2fetc%2fpasswd",
        "/pages/1/report.html",
        "/pages/-1/x",
    ):
        assert httpx.get(address + path).status_code in (404, 422, 400), path


def test_a_key_and_a_missing_recogniser(tmp_path, monkeypatch):
    monkeypatch.setenv("DIA_API_KEY", "right")
    options = {"voices": str(tmp_path / "voices"), "recognition": SpeechRecognition(NotInstalled())}
    with serving(make_dia(), **options) as (address, _), chromium(tmp_path / "profile", tmp_path) as driver:
        driver.get(address)
        user = KeyboardUser(driver, TABS)
        user.wait(lambda: "the API key is missing" in element(driver, "page-status").text, "the refusal")
        element(driver, "key").send_keys("right", TAB)
        user.wait(lambda: not element(driver, "page-status").text, "the key is accepted")
        assert "Whisper is not installed" in user.text and not element(driver, "marks").is_enabled()
        element(driver, "speak").click()
        wait_for_take(user)


def test_pages_of_other_hosts_are_refused(served):
    address, _ = served
    own = httpx.get(f"{address}/health", headers={"Origin": address})
    other = httpx.get(f"{address}/health", headers={"Origin": "https://example.org"})
    assert own.status_code == 200 and other.status_code == 403
    assert "another host" in other.json()["error"]["message"]
