"""The components of recording: declarations, rendering, retries, audio, files, and folders of recordings."""

import io
import json
import math
from email.utils import formatdate
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.files import write_audio
from dia.config import compose as conf
from dia.config.compose import compose
from dia.config.systems import RecordConfig, RetryConfig
from dia.dialogue import Script
from dia.dialogue.tags import known_tags
from dia.errors import UserError
from dia.redaction import make_redactor
from dia.resources import resource
from dia.systems.clients import create_system
from dia.systems.declaration import parse_declaration
from dia.systems.http_recorder import HttpRecorder, parse_retry_after
from dia.systems.protocol import RequestFailed
from dia.systems.record import record
from dia.systems.recording_files import AppendOnlyLog, write_once
from dia.systems.recording_folder import RecordingFolder
from dia.systems.request_sender import retry_delay
from dia.systems.response_audio import DecodedAudio, InvalidAudio, decode_audio, file_extension
from dia.systems.script_rendering import render_script
from dia.systems.take_rows import join_segments
from tests.systems.conftest import load_declared, read_rows
from tests.systems.vendor_server import tone

SYSTEMS = sorted(path.stem for path in resource("eval/systems").glob("*.yaml"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_declaration_is_valid_and_its_client_exists(name):
    declaration = parse_declaration(load_declared(name))
    assert declaration.name == name and declaration.licence and declaration.tag_map_version
    create_system(declaration)
    assert (declaration.price is None) == (not declaration.key)  # systems with a key cost money


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_can_be_selected_and_changed_on_the_command_line(name):
    config = conf.typed(
        compose("record", [f"system={name}", "system.base_url=http://here", "system.voices.S1=me", "takes=2"])
    )
    assert config.system == load_declared(name) | {
        "base_url": "http://here",
        "voices": load_declared(name).get("voices", {}) | {"S1": "me"},
    }
    assert config.takes == 2 and not config.confirm


def test_all_problems_of_a_declaration_are_reported_without_its_secrets():
    with pytest.raises(UserError) as caught:
        parse_declaration(
            load_declared("openai", seeds="maybe", tags={"roars": "x"}, voices={"one": "x"}, colour="red")
        )
    assert "colour" in str(caught.value)
    with pytest.raises(UserError) as caught:
        parse_declaration(
            load_declared(
                "openai",
                seeds="maybe",
                tags={"roars": "x"},
                voices={"one": "x"},
                key="sk-secret",
                concurrency=0,
                base_url="https://me:pass@here/v1",
                price={"unit": "word", "dollars": -1, "source": "x"},
            )
        )
    for part in (
        "seeds='maybe'",
        "tags.roars",
        "voices.one",
        "environment variable",
        "concurrency=0",
        "price.unit",
        "price.dollars",
        "base_url",
    ):
        assert part in str(caught.value)
    assert "sk-secret" not in str(caught.value) and "me:pass" not in str(caught.value)


@given(st.data())
def test_rendering_preserves_the_words_and_lists_everything_that_it_drops(data):
    words = st.lists(st.sampled_from(["so", "we", "went", "home."]), min_size=1, max_size=4).map(" ".join)
    tags = st.lists(st.sampled_from(known_tags()), max_size=3)
    turns = data.draw(st.lists(st.tuples(words, tags, words), min_size=1, max_size=3))
    text = " ".join(
        f"[S{1 + place % 2}] {before} {' '.join(f'({tag})' for tag in inside)} {after}"
        for place, (before, inside, after) in enumerate(turns)
    )
    declaration = parse_declaration(load_declared("elevenlabs"))
    rendered = render_script(Script.parse(text), declaration)
    present = [tag for _, inside, _ in turns for tag in inside]
    assert list(rendered.dropped) == [f"({tag})" for tag in present if tag not in declaration.tags]
    remaining = " ".join(turn.text for turn in rendered.turns)
    assert sum(remaining.count(spelling) for spelling in set(declaration.tags.values())) == len(
        present
    ) - len(rendered.dropped)
    for spelling in set(declaration.tags.values()):
        remaining = remaining.replace(spelling, " ")
    assert (
        remaining.split() == " ".join(f"{before} {after}" for before, _, after in turns).split()
        and "(" not in remaining
    )


def test_a_turn_without_remaining_text_is_dropped_and_listed():
    rendered = render_script(
        Script.parse("[S1] (beep) [S2] {sad} Well."), parse_declaration(load_declared("elevenlabs"))
    )
    assert [turn.text for turn in rendered.turns] == ["[sad] Well."] and rendered.dropped == (
        "(beep)",
        "[S1]",
    )


@given(st.integers(1, 12), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 200)))
def test_retry_delays_grow_are_bounded_and_respect_the_service(attempt, jitter, requested):
    retry = RetryConfig(attempts=10, min_wait_seconds=1.0, max_wait_seconds=60.0)
    delay = retry_delay(RequestFailed("x", "", retry_after=requested, retryable=True), attempt, retry, jitter)
    if attempt >= 10 or (requested is not None and requested > 60):
        assert delay is None
    elif requested is not None:
        assert requested <= delay <= requested * 1.1
    else:
        assert min(60, 2 ** (attempt - 1)) / 2 <= delay <= min(60, 2 ** (attempt - 1))
    assert retry_delay(RequestFailed("x", "", retryable=False), 1, retry, jitter) is None


def test_retry_after_is_seconds_or_a_date():
    assert parse_retry_after({"retry-after": "7"}) == 7
    assert parse_retry_after(
        {"retry-after": formatdate(1_000_030, usegmt=True)}, now=1_000_000
    ) == pytest.approx(30)
    assert parse_retry_after({"retry-after": formatdate(10, usegmt=True)}, now=1_000_000) == 0
    assert parse_retry_after({"retry-after": "soon"}) is None and parse_retry_after({}) is None


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_audio_is_recognized_by_its_first_bytes(kind):
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(24_000) / 20)[:, None] * [0.2, 0.2], 24_000, format=kind)
    sound = decode_audio(file.getvalue(), "any")
    assert file_extension(file.getvalue(), "") == kind.lower() and (sound.sample_rate, sound.channels) == (
        24_000,
        2,
    )


def test_raw_samples_are_read_at_the_requested_rate():
    sound = decode_audio(np.array([0, 16384, -32768], "<i2").tobytes(), "pcm_24000")
    assert sound.waveform.tolist() == [0.0, 0.5, -1.0] and sound.sample_rate == 24_000


@pytest.mark.parametrize(
    ("raw", "audio_format", "kind"),
    [
        (b"", "wav", "empty"),
        (b"<!doctype html><html></html>", "wav", "not_audio"),
        (b'{"error": "no"}', "pcm_24000", "not_audio"),
        (b"\x00\x01\x02", "pcm_24000", "damaged_audio"),
        (b"\x00\x01\x02\x03" * 100, "wav", "not_audio"),
        (tone()[:3000], "wav", "damaged_audio"),
        (tone()[:20], "wav", "damaged_audio"),
        (tone(0.0), "wav", "damaged_audio"),
    ],
)
def test_invalid_audio_is_classified(raw, audio_format, kind):
    with pytest.raises(InvalidAudio) as caught:
        decode_audio(raw, audio_format)
    assert caught.value.kind == kind


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(0, 20))
def test_joined_segments_lie_at_their_times(lengths, gap):
    sounds = [
        DecodedAudio(np.full(length, place + 1, np.float32), 100, 1) for place, length in enumerate(lengths)
    ]
    waveform, rate, times = join_segments(sounds, gap / 100)
    assert rate == 100 and len(waveform) == sum(lengths) + gap * (len(lengths) - 1)
    for place, (start, end) in enumerate(times):
        assert (waveform[round(start * 100) : round(end * 100)] == place + 1).all()
    inside = sum(round(end * 100) - round(start * 100) for start, end in times)
    assert inside == sum(lengths) and math.isclose(times[-1][1], len(waveform) / 100)


def test_segments_of_different_rates_are_not_joined():
    with pytest.raises(InvalidAudio, match="16000, 24000 Hz"):
        join_segments([DecodedAudio(np.ones(5, np.float32), rate, 1) for rate in (24_000, 16_000)], 0.1)


def test_a_stored_file_is_never_overwritten(tmp_path):
    write_once(tmp_path / "a", b"one")
    write_once(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one" and [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_an_incomplete_last_line_is_removed(tmp_path):
    log = AppendOnlyLog(tmp_path / "log", make_redactor(""))
    log.append({"a": 1})
    log.close()
    with (tmp_path / "log").open("a") as file:
        file.write('{"a": 2, "b"')
    log = AppendOnlyLog(tmp_path / "log", make_redactor(""))
    log.append({"a": 3})
    assert [row["a"] for row in log.rows()] == [1, 3]
    log.close()


@given(st.text(min_size=8, max_size=20), st.text(max_size=10))
def test_a_key_is_removed_from_json_in_every_notation(secret, other):
    redact = make_redactor(secret)
    for line in (
        json.dumps({"x": other + secret}),
        json.dumps({"x": other + secret}, ensure_ascii=False),
        secret,
    ):
        assert secret not in redact(line) or secret in "[key]" + other


@pytest.mark.parametrize("before", [0, 280, 295, 1985, 1999, 2001])
def test_a_key_is_removed_from_an_error_page_before_the_page_is_cut(before, monkeypatch):
    key = "sk-0123456789abcdef"
    monkeypatch.setenv("ELEVENLABS_API_KEY", key)
    declaration = parse_declaration(load_declared("elevenlabs") | {"key": "ELEVENLABS_API_KEY"})
    recorder = HttpRecorder(declaration, (ValueError,))
    page = b"x" * before + key.encode() + b"y" * 100

    def send():
        recorder._on_response(SimpleNamespace(status_code=401, headers={}, read=lambda: page))
        raise ValueError("refused")

    with pytest.raises(RequestFailed) as failed:
        recorder.send(send)
    text = failed.value.message + recorder._thread.exchange.text
    assert not any(key[: size + 1] in text for size in range(5, len(key)))


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_file_names_are_plain_and_unique(ids):
    names = [RecordingFolder.file_name(prompt_id) for prompt_id in ids]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and not set(name) & set("/\\. \0") for name in names)


def write_hand_made(folder, *entries):
    folder.mkdir()
    waveform = (0.1 * np.sin(np.arange(24_000) / 20)).astype(np.float32)
    write_audio(folder / "a.wav", waveform, 24_000)
    write_audio(folder / "b.flac", waveform[:12_000], 24_000)
    (folder / "recordings.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return load_declared("folder", name="notebooklm", path=str(folder))


def test_recordings_made_by_hand_get_the_same_layout(tmp_path):
    content = write_hand_made(
        tmp_path / "mine",
        {"id": "one", "file": "a.wav", "script": "[S1] Hello. (laughs)", "tag": "laughs"},
        {"id": "one", "file": "b.flac", "script": "[S1] Hello. (laughs)", "tag": "laughs", "take": 1},
        {"id": "two", "file": "gone.wav", "script": "[S1] Hello."},
        {"id": "three", "file": "../secret.wav", "script": "[S1] Hello."},
    )
    write_audio(tmp_path / "secret.wav", np.zeros(100, np.float32), 24_000)
    done = record(RecordConfig(system=content, out=str(tmp_path / "out"), takes=1), lambda _: None)
    assert done.folder.parent.name == "notebooklm" and done.failed == {"missing_file": 2}
    rows = {row["prompt_id"]: row for row in read_rows(done.folder / "outputs.jsonl")}
    assert (
        rows["one"]["duration_s"] == 1.0
        and rows["one"]["prompt"]["tag"] == "laughs"
        and rows["one"]["dropped"] == []
    )
    assert "outside" in rows["three"]["message"] and "gone.wav" in rows["two"]["message"]
    two = record(RecordConfig(system=content, out=str(tmp_path / "out"), takes=0), lambda _: None)
    assert two.takes == 6 and two.failed == {"missing_file": 4}  # the table has two takes of the first prompt


def test_systems_may_share_a_folder_with_a_table_each(tmp_path):
    content = write_hand_made(tmp_path / "page", {"id": "one", "file": "a.wav", "script": "[S1] Hello."})
    table = tmp_path / "page" / "other.jsonl"
    table.write_text(json.dumps({"id": "one", "file": "b.flac", "script": "Hello."}) + "\n")
    seconds = {}
    for name, path in (("first", content["path"]), ("second", str(table))):
        config = RecordConfig(system=content | {"name": name, "path": path}, out=str(tmp_path / "out"))
        (row,) = read_rows(record(config, lambda _: None).folder / "outputs.jsonl")
        seconds[name] = (row["duration_s"], row["prompt"]["script"])
    assert seconds == {"first": (1.0, "[S1] Hello."), "second": (0.5, "[S1] Hello.")}
    with pytest.raises(UserError, match="a table beside them"):
        record(RecordConfig(system=content | {"path": str(tmp_path / "none.jsonl")}), lambda _: None)


def test_all_problems_of_a_table_are_reported_at_once(tmp_path):
    content = write_hand_made(
        tmp_path / "mine",
        {"id": "a", "script": "[S1] Hi."},
        {"id": "b", "file": "a.wav", "script": "Hi. [S2] Hi."},
        {"id": "c", "file": "a.wav", "script": "[S1] Hi.", "take": -1},
        {"id": "d", "file": "a.wav", "script": "[S1] Hi."},
        {"id": "d", "file": "a.wav", "script": "[S1] Ho."},
    )
    with pytest.raises(UserError) as caught:
        record(RecordConfig(system=content, out=str(tmp_path / "out")), lambda _: None)
    for part in (
        "line 1 lacks file",
        "line 2 has a script",
        "line 3 has take=-1",
        "'d, take 0' occurs 2 times",
        "different scripts",
    ):
        assert part in str(caught.value)


def test_an_unknown_key_of_a_system_is_reported_by_its_declaration():
    config = conf.typed(compose("record", ["system=openai", "system.colour=red"]))
    with pytest.raises(UserError, match="unknown key colour"):
        parse_declaration(config.system)


def test_all_problems_of_the_command_are_reported_at_once():
    with pytest.raises(UserError) as caught:
        RecordConfig(takes=-1, run_id="../x", retry=RetryConfig(attempts=0, min_wait_seconds=-1)).require()
    assert all(
        part in str(caught.value)
        for part in ("takes=-1", "run_id='../x'", "retry.attempts=0", "retry.min_wait_seconds=-1")
    )
