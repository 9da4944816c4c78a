"""The vendors' SDKs against a local server: requests, stored responses, and every failure of a service."""

import hashlib
import json

import pytest

from dia.errors import UserError
from tests.systems.conftest import PROMPTS, read_rows
from tests.systems.vendor_server import KEY, RATE, tone

VENDORS = ("elevenlabs", "elevenlabs_turns", "openai", "hume", "emotivoice")


def assert_no_key_in(folder, *texts):
    for path in folder.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert not any(KEY in text for text in texts)


@pytest.mark.parametrize("name", VENDORS)
def test_a_recording_has_a_row_for_every_take_and_stores_every_response(recording, vendor, name):
    done, lines = recording(name, takes=2)
    assert done.failed == {} and done.takes == 4
    rows = read_rows(done.folder / "outputs.jsonl")
    assert [(row["prompt_id"], row["take"]) for row in rows] == [
        (prompt["id"], take) for take in (0, 1) for prompt in PROMPTS
    ]
    for row in rows:
        assert row["error_kind"] == "" and row["sample_rate"] == RATE and row["channels"] == 1
        wav = (done.folder / row["wav_path"]).read_bytes()
        assert hashlib.sha256(wav).hexdigest() == row["wav_sha256"]
        assert -26 < row["loudness_lufs"] < -22  # a tone at -23 dBFS, the gap between turns counted
        for part in row["parts"]:
            assert (done.folder / part["raw_path"]).read_bytes() == tone()
            assert part["http_status"] == 200 and part["attempt"] == 1 and part["cost_units"] > 0
    sent = [request["body"] for request in vendor.requests]
    recorded = [part["request"] for row in rows for part in row["parts"]]
    in_order = sorted(json.dumps(body, sort_keys=True) for body in sent)
    logged = [{key: value for key, value in body.items() if key != "output_format"} for body in recorded]
    assert sorted(json.dumps(body, sort_keys=True) for body in logged) == in_order
    keyless = name == "emotivoice"
    assert {request["key"] for request in vendor.requests} == {"none" if keyless else KEY}
    assert_no_key_in(done.folder, *lines)


def test_elevenlabs_receives_the_whole_dialogue_with_its_own_tags(recording, vendor):
    done, _ = recording("elevenlabs")
    body = next(request["body"] for request in vendor.requests if len(request["body"]["inputs"]) == 2)
    assert [turn["text"] for turn in body["inputs"]] == [
        "[happy] Hello there my friend. [laughs]",
        "Oh, hi! How are you?",
    ]
    assert body["model_id"] == "eleven_v3" and body["seed"] == 0 and body["settings"] == {"stability": 0.5}
    assert {request["query"] for request in vendor.requests} == {"output_format=wav_24000"}
    row = read_rows(done.folder / "outputs.jsonl")[0]
    assert row["dropped"] == ["(beep)"] and row["seed_honoured"] is None and row["turn_times"] is None
    assert row["parts"][0]["cost_units"] == 42 and row["parts"][0]["cost_from"] == "response"
    assert row["parts"][0]["request_id"].startswith("request-")


def test_openai_receives_each_turn_with_its_instructions(recording, vendor):
    done, _ = recording("openai")
    bodies = {request["body"]["input"]: request["body"] for request in vendor.requests}
    assert (
        bodies["Hello there my friend."]["instructions"] == "Speak happily."
        and "instructions" not in bodies["It is late."]
    )
    assert (
        bodies["Oh, hi! How are you?"]["voice"] == "cedar"
        and bodies["It is late."]["response_format"] == "wav"
    )
    row = read_rows(done.folder / "outputs.jsonl")[0]
    assert row["dropped"] == ["(laughs)", "(beep)"] and row["seed_honoured"] is False
    assert row["turn_times"] == [[0.0, 0.6], [0.8, 1.4]] and row["duration_s"] == pytest.approx(1.4)


def test_emotivoice_receives_the_style_in_its_own_field(recording, vendor):
    recording("emotivoice", confirm=False)  # free of charge
    bodies = {request["body"]["input"]: request["body"] for request in vendor.requests}
    assert bodies["Hello there my friend."]["prompt"] == "Happy"


def test_hume_receives_utterances_with_descriptions(recording, vendor):
    recording("hume")
    body = next(request["body"] for request in vendor.requests if len(request["body"]["utterances"]) == 2)
    first, second = body["utterances"]
    assert first["description"] == "happy" and "description" not in second
    assert first["voice"] == {"name": "Ava Song", "provider": "HUME_AI"} and body["version"] == "2"


@pytest.mark.parametrize("name", VENDORS[:4])
def test_a_rejected_key_ends_the_run_with_one_message(recording, vendor, name, tmp_path):
    vendor.failures = [401] * 10
    with pytest.raises(UserError, match=r"refused with 401 \(unauthorized\).*no, \[key\]") as caught:
        recording(name, takes=5)
    assert len(vendor.requests) <= 2  # the number of concurrent requests
    assert_no_key_in(tmp_path / "out", str(caught.value))
    (folder,) = (tmp_path / "out" / name).iterdir()
    rows = read_rows(folder / "outputs.jsonl")
    assert len(rows) == 10 and {row["error_kind"] for row in rows} == {"not_requested"}
    assert json.loads((folder / "manifest.json").read_text())["state"] == "stopped"


def test_an_exhausted_quota_ends_the_run_although_its_status_is_429(recording, vendor, tmp_path):
    vendor.failures = [429] * 20
    with pytest.raises(UserError, match="refused with 429"):
        recording("openai", system={"stops": ["refused"]})
    assert len(vendor.requests) <= 2


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limited"), (500, "http_500"), (503, "http_503")])
def test_transient_errors_are_retried(recording, vendor, name, status, kind):
    vendor.failures, vendor.headers = [status], {"retry-after": "0"}
    done, _ = recording(name, system={"concurrency": 1})
    assert done.failed == {}
    events = [
        (row["event"], row["attempt"], row.get("error_kind"))
        for row in read_rows(done.folder / "attempts.jsonl")
    ]
    assert events[:4] == [("sent", 1, None), ("failed", 1, kind), ("sent", 2, None), ("succeeded", 2, None)]
    assert read_rows(done.folder / "outputs.jsonl")[0]["parts"][0]["attempt"] == 2


def test_a_retry_delay_above_the_limit_fails_the_take(recording, vendor):
    vendor.failures, vendor.headers = [429], {"retry-after": "3600"}
    done, _ = recording(system={"concurrency": 1})
    assert done.failed == {"rate_limited": 1} and len(vendor.requests) == 2


@pytest.mark.parametrize("name", VENDORS[:4])
@pytest.mark.parametrize(
    ("failures", "kind", "message", "requests"),
    [
        (["html"], "not_audio", "is text, not audio", 1),
        (["truncated"], "damaged_audio", "truncated", 1),
        (["empty"], "empty", "is empty", 1),
        ([400], "http_400", "no, [key]", 1),
        ([422], "http_422", "no, [key]", 1),
        (["redirect"], "http_307", "", 1),
        ([500, 500, 500], "http_500", "no, [key]", 3),
        (["disconnect", "disconnect", "disconnect"], "connection", "", 3),
    ],
)
def test_failures_are_counted_and_reported_and_not_billed_twice(
    recording, vendor, name, failures, kind, message, requests
):
    vendor.failures = list(failures)
    done, lines = recording(name, system={"concurrency": 1})
    assert done.failed == {kind: 1}
    failed, other = read_rows(done.folder / "outputs.jsonl")
    assert failed["error_kind"] == kind and message in failed["message"] and failed["wav_path"] is None
    assert other["error_kind"] == ""
    attempts = [
        row
        for row in read_rows(done.folder / "attempts.jsonl")
        if row["event"] == "sent" and row["prompt_id"] == "hello"
    ]
    assert len(attempts) == requests
    assert_no_key_in(done.folder, *lines)


def test_a_broken_connection_is_retried(recording, vendor):
    vendor.failures = ["disconnect"]
    done, _ = recording("elevenlabs", system={"concurrency": 1})
    assert done.failed == {} and len(vendor.requests) == 3


def test_the_same_command_sends_only_the_missing_requests(recording, vendor):
    vendor.failures = ["html"]
    first, _ = recording(system={"concurrency": 1})
    assert first.failed == {"not_audio": 1}
    stored = {
        path: path.read_bytes()
        for path in first.folder.rglob("*")
        if path.is_file() and path.parent.name in ("raw", "wav")
    }
    second, lines = recording(system={"concurrency": 1})
    assert second.folder == first.folder and second.failed == {} and len(vendor.requests) == 3
    assert "1 requests to send" in lines[0]
    assert all(path.read_bytes() == content for path, content in stored.items())
    log = read_rows(first.folder / "attempts.jsonl")
    assert [row["attempt"] for row in log if row["event"] == "sent" and row["prompt_id"] == "hello"] == [
        1,
        2,
    ]
    manifest = (first.folder / "manifest.json").read_bytes()
    third, lines = recording(
        system={"concurrency": 1}, confirm=False
    )  # nothing is missing: nothing to confirm
    assert (first.folder / "manifest.json").read_bytes() == manifest
    assert third.failed == {} and len(vendor.requests) == 3 and "0 requests" in lines[0]


def test_a_paid_request_is_not_repeated_when_another_request_of_the_take_failed(recording, vendor):
    vendor.failures = [200, 400]
    first, _ = recording("openai", system={"concurrency": 1})
    assert first.failed == {"http_400": 1} and len(vendor.requests) == 3
    second, _ = recording("openai", system={"concurrency": 1})
    assert second.failed == {} and [request["body"]["input"] for request in vendor.requests[3:]] == [
        "Oh, hi! How are you?"
    ]


def test_responses_from_before_a_rejected_key_stay(recording, vendor, tmp_path):
    vendor.failures = [200, 200, 200, 401]
    with pytest.raises(UserError, match="401"):
        recording("openai", takes=2, system={"concurrency": 1})
    (folder,) = (tmp_path / "out" / "openai").iterdir()
    rows = read_rows(folder / "outputs.jsonl")
    assert [row["error_kind"] for row in rows] == ["", "", "not_requested", "not_requested"]
    vendor.failures = [401]
    with pytest.raises(UserError, match="401"):
        recording("openai", takes=2, system={"concurrency": 1})
    assert read_rows(folder / "outputs.jsonl")[:2] == rows[:2]
    done, _ = recording("openai", takes=2, system={"concurrency": 1})
    manifest = json.loads((folder / "manifest.json").read_text())
    assert done.failed == {} and [session["state"] for session in manifest["sessions"]] == [
        "stopped",
        "stopped",
        "complete",
    ]


def test_nothing_is_spent_without_confirmation(recording, vendor, tmp_path):
    with pytest.raises(UserError, match="costs money: no request was sent; give confirm=true"):
        recording(confirm=False)
    assert vendor.requests == [] and not (tmp_path / "out").exists()


def test_the_estimate_is_the_price_of_the_characters(recording, vendor):
    _, lines = recording(takes=2)
    characters = 2 * (
        len("[happy] Hello there my friend. [laughs]")
        + len("Oh, hi! How are you?")
        + len("It is late. [sighs]")
    )
    assert f"about {characters} characters" in lines[0] and f"about ${characters * 0.00012:.2f}" in lines[0]


def test_a_missing_key_is_reported_before_anything_is_written(recording, vendor, monkeypatch, tmp_path):
    monkeypatch.delenv("ELEVENLABS_API_KEY")
    with pytest.raises(UserError, match="environment variable ELEVENLABS_API_KEY; it is not set"):
        recording()
    assert not (tmp_path / "out").exists()


def test_other_settings_are_another_recording_and_nothing_is_overwritten(recording, vendor):
    first, _ = recording(run_id="mine")
    with pytest.raises(UserError, match="holds a recording of other prompts or settings"):
        recording(run_id="mine", system={"voices": {"S1": "a", "S2": "b"}})
    second, _ = recording(system={"voices": {"S1": "a", "S2": "b"}})
    third, _ = recording()
    assert len({first.folder, second.folder, third.folder}) == 3


def test_a_changed_response_is_reported(recording, vendor):
    done, _ = recording()
    changed = next((done.folder / "raw").iterdir())
    changed.write_bytes(tone(0.1))
    with pytest.raises(UserError, match=f"missing or changed(.|\n)*{changed.name}"):
        recording()


def test_a_second_command_cannot_record_into_the_same_folder(recording, vendor):
    done, _ = recording()
    log = (done.folder / "attempts.jsonl").open()
    import fcntl

    fcntl.flock(log, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="another command is recording"):
        recording()
    log.close()


def test_scripts_that_cannot_be_requested_fail_without_a_request(recording, vendor):
    voices = {"S1": "a"}
    done, _ = recording(system={"voices": voices, "limit_characters": 30})
    rows = read_rows(done.folder / "outputs.jsonl")
    assert [row["error_kind"] for row in rows] == ["no_voice", ""] and "S2" in rows[0]["message"]
    done, _ = recording(system={"limit_characters": 30})
    assert read_rows(done.folder / "outputs.jsonl")[0]["error_kind"] == "too_long"
    assert len(vendor.requests) == 2
