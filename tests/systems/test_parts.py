"""The parts of recording: declarations, dialects, waits, sound, files, folders of recordings made by hand."""

import io
import json
import math
from email.utils import formatdate

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
from dia.resources import resource
from dia.systems.clients import open_system
from dia.systems.declaration import declaration_of
from dia.systems.http import retry_after
from dia.systems.protocol import Refusal
from dia.systems.record import record
from dia.systems.recording_files import Log, keep, redactor
from dia.systems.retry import wait_before_next
from dia.systems.run_folder import RunFolder
from dia.systems.script_rendering import in_dialect
from dia.systems.sound import BadSound, Sound, decode, ending
from dia.systems.takes import join
from tests.systems.conftest import declared, lines_of
from tests.systems.vendor import spoken

SYSTEMS = sorted(path.stem for path in resource("eval/systems").glob("*.yaml"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_declaration_is_sound_and_opens(name):
    declaration = declaration_of(declared(name))
    assert declaration.name == name and declaration.licence and declaration.tag_map_version
    open_system(declaration)
    assert (declaration.price is None) == (not declaration.key)  # who takes a key takes money


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_can_be_named_and_changed_on_the_command_line(name):
    config = conf.typed(
        compose("record", [f"system={name}", "system.base_url=http://here", "system.voices.S1=me", "takes=2"])
    )
    assert config.system == declared(name) | {
        "base_url": "http://here",
        "voices": declared(name).get("voices", {}) | {"S1": "me"},
    }
    assert config.takes == 2 and not config.confirm


def test_all_problems_of_a_declaration_are_told_and_a_key_in_it_is_not():
    with pytest.raises(UserError) as caught:
        declaration_of(
            declared("openai", seeds="maybe", tags={"roars": "x"}, voices={"one": "x"}, colour="red")
        )
    assert "colour" in str(caught.value)
    with pytest.raises(UserError) as caught:
        declaration_of(
            declared("openai", seeds="maybe", tags={"roars": "x"}, voices={"one": "x"}, key="sk-secret", concurrency=0, base_url="https://me:pass@here/v1",
                     price={"unit": "word", "dollars": -1, "source": "x"})
        )  # fmt: skip
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
def test_a_dialect_keeps_the_words_and_tells_of_all_it_drops(data):
    words = st.lists(st.sampled_from(["so", "we", "went", "home."]), min_size=1, max_size=4).map(" ".join)
    tags = st.lists(st.sampled_from(known_tags()), max_size=3)
    turns = data.draw(st.lists(st.tuples(words, tags, words), min_size=1, max_size=3))
    text = " ".join(
        f"[S{1 + place % 2}] {before} {' '.join(f'({tag})' for tag in inside)} {after}"
        for place, (before, inside, after) in enumerate(turns)
    )
    declaration = declaration_of(declared("elevenlabs"))
    dialect = in_dialect(Script.parse(text), declaration)
    asked = [tag for _, inside, _ in turns for tag in inside]
    assert list(dialect.dropped) == [f"({tag})" for tag in asked if tag not in declaration.tags]
    said = " ".join(line.text for line in dialect.lines)
    assert sum(said.count(spelling) for spelling in set(declaration.tags.values())) == len(asked) - len(
        dialect.dropped
    )
    for spelling in set(declaration.tags.values()):
        said = said.replace(spelling, " ")
    assert (
        said.split() == " ".join(f"{before} {after}" for before, _, after in turns).split()
        and "(" not in said
    )


def test_a_turn_of_which_nothing_is_left_is_dropped_and_told():
    dialect = in_dialect(Script.parse("[S1] (beep) [S2] {sad} Well."), declaration_of(declared("elevenlabs")))
    assert [line.text for line in dialect.lines] == ["[sad] Well."] and dialect.dropped == ("(beep)", "[S1]")


@given(st.integers(1, 12), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 200)))
def test_waits_grow_are_bounded_and_keep_what_is_asked(attempt, rng, asked):
    retry = RetryConfig(attempts=10, min_wait_seconds=1.0, max_wait_seconds=60.0)
    wait = wait_before_next(Refusal("x", "", retry_after=asked, again=True), attempt, retry, rng)
    if attempt >= 10 or (asked is not None and asked > 60):
        assert wait is None
    elif asked is not None:
        assert asked <= wait <= asked * 1.1
    else:
        assert min(60, 2 ** (attempt - 1)) / 2 <= wait <= min(60, 2 ** (attempt - 1))
    assert wait_before_next(Refusal("x", "", again=False), 1, retry, rng) is None


def test_retry_after_is_seconds_or_a_date():
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": formatdate(1_000_030, usegmt=True)}, now=1_000_000) == pytest.approx(
        30
    )
    assert retry_after({"retry-after": formatdate(10, usegmt=True)}, now=1_000_000) == 0
    assert retry_after({"retry-after": "soon"}) is None and retry_after({}) is None


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_sound_is_told_by_its_first_bytes(kind):
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(24_000) / 20)[:, None] * [0.2, 0.2], 24_000, format=kind)
    sound = decode(file.getvalue(), "any")
    assert ending(file.getvalue(), "") == kind.lower() and (sound.sample_rate, sound.channels) == (24_000, 2)


def test_raw_samples_are_read_at_the_rate_that_was_asked_for():
    sound = decode(np.array([0, 16384, -32768], "<i2").tobytes(), "pcm_24000")
    assert sound.waveform.tolist() == [0.0, 0.5, -1.0] and sound.sample_rate == 24_000


@pytest.mark.parametrize(
    ("raw", "spelled", "kind"),
    [
        (b"", "wav", "empty"),
        (b"<!doctype html><html></html>", "wav", "not_audio"),
        (b'{"error": "no"}', "pcm_24000", "not_audio"),
        (b"\x00\x01\x02", "pcm_24000", "damaged_audio"),
        (b"\x00\x01\x02\x03" * 100, "wav", "not_audio"),
        (spoken()[:3000], "wav", "damaged_audio"),
        (spoken()[:20], "wav", "damaged_audio"),
        (spoken(0.0), "wav", "damaged_audio"),
    ],
)
def test_what_is_no_whole_sound_is_told_apart(raw, spelled, kind):
    with pytest.raises(BadSound) as caught:
        decode(raw, spelled)
    assert caught.value.kind == kind


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(0, 20))
def test_joined_parts_lie_where_their_times_say(lengths, gap):
    sounds = [Sound(np.full(length, place + 1, np.float32), 100, 1) for place, length in enumerate(lengths)]
    waveform, rate, times = join(sounds, gap / 100)
    assert rate == 100 and len(waveform) == sum(lengths) + gap * (len(lengths) - 1)
    for place, (start, end) in enumerate(times):
        assert (waveform[round(start * 100) : round(end * 100)] == place + 1).all()
    inside = sum(round(end * 100) - round(start * 100) for start, end in times)
    assert inside == sum(lengths) and math.isclose(times[-1][1], len(waveform) / 100)


def test_parts_of_different_rates_are_not_joined():
    with pytest.raises(BadSound, match="16000, 24000 Hz"):
        join([Sound(np.ones(5, np.float32), rate, 1) for rate in (24_000, 16_000)], 0.1)


def test_a_kept_file_is_never_overwritten(tmp_path):
    keep(tmp_path / "a", b"one")
    keep(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        keep(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one" and [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_line_that_was_being_written_is_cut_off_and_no_other(tmp_path):
    log = Log(tmp_path / "log", redactor(""))
    log.add({"a": 1})
    log.close()
    with (tmp_path / "log").open("a") as file:
        file.write('{"a": 2, "b"')
    log = Log(tmp_path / "log", redactor(""))
    log.add({"a": 3})
    assert [row["a"] for row in log.rows()] == [1, 3]
    log.close()


@given(st.text(min_size=8, max_size=20), st.text(max_size=10))
def test_a_key_is_taken_out_of_json_however_it_is_spelled(secret, other):
    redact = redactor(secret)
    for line in (
        json.dumps({"x": other + secret}),
        json.dumps({"x": other + secret}, ensure_ascii=False),
        secret,
    ):
        assert secret not in redact(line) or secret in "[key]" + other


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_names_of_files_are_plain_and_differ(ids):
    names = [RunFolder.file_name(prompt_id) for prompt_id in ids]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and not set(name) & set("/\\. \0") for name in names)


def by_hand(folder, *entries):
    folder.mkdir()
    waveform = (0.1 * np.sin(np.arange(24_000) / 20)).astype(np.float32)
    write_audio(folder / "a.wav", waveform, 24_000)
    write_audio(folder / "b.flac", waveform[:12_000], 24_000)
    (folder / "recordings.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return declared("folder", name="notebooklm", path=str(folder))


def test_recordings_made_by_hand_become_the_same_layout(tmp_path):
    content = by_hand(
        tmp_path / "mine",
        {"id": "one", "file": "a.wav", "script": "[S1] Hello. (laughs)", "tag": "laughs"},
        {"id": "one", "file": "b.flac", "script": "[S1] Hello. (laughs)", "tag": "laughs", "take": 1},
        {"id": "two", "file": "gone.wav", "script": "[S1] Hello."},
        {"id": "three", "file": "../secret.wav", "script": "[S1] Hello."},
    )
    write_audio(tmp_path / "secret.wav", np.zeros(100, np.float32), 24_000)
    done = record(RecordConfig(system=content, out=str(tmp_path / "out"), takes=1), lambda _: None)
    assert done.folder.parent.name == "notebooklm" and done.failed == {"missing_file": 2}
    rows = {row["prompt_id"]: row for row in lines_of(done.folder / "outputs.jsonl")}
    assert (
        rows["one"]["duration_s"] == 1.0
        and rows["one"]["prompt"]["tag"] == "laughs"
        and rows["one"]["dropped"] == []
    )
    assert "outside" in rows["three"]["message"] and "gone.wav" in rows["two"]["message"]
    two = record(RecordConfig(system=content, out=str(tmp_path / "out"), takes=0), lambda _: None)
    assert two.takes == 6 and two.failed == {"missing_file": 4}  # two takes, as the table has of the first


def test_all_problems_of_a_table_are_told_at_once(tmp_path):
    content = by_hand(
        tmp_path / "mine", {"id": "a", "script": "[S1] Hi."}, {"id": "b", "file": "a.wav", "script": "Hi."},
        {"id": "c", "file": "a.wav", "script": "[S1] Hi.", "take": -1}, {"id": "d", "file": "a.wav", "script": "[S1] Hi."},
        {"id": "d", "file": "a.wav", "script": "[S1] Ho."},
    )  # fmt: skip
    with pytest.raises(UserError) as caught:
        record(RecordConfig(system=content, out=str(tmp_path / "out")), lambda _: None)
    for part in (
        "line 1 lacks file",
        "line 2 has a script",
        "line 3 has take=-1",
        "'d, take 0' is there 2 times",
        "different scripts",
    ):
        assert part in str(caught.value)


def test_an_unknown_key_of_a_system_is_told_by_its_declaration():
    config = conf.typed(compose("record", ["system=openai", "system.colour=red"]))
    with pytest.raises(UserError, match="has the unknown key colour"):
        declaration_of(config.system)


def test_what_is_wrong_with_the_command_is_told_at_once():
    with pytest.raises(UserError) as caught:
        RecordConfig(takes=-1, run_id="../x", retry=RetryConfig(attempts=0, min_wait_seconds=-1)).require()
    assert all(
        part in str(caught.value)
        for part in ("takes=-1", "run_id='../x'", "retry.attempts=0", "retry.min_wait_seconds=-1")
    )
