"""Voices: saving and loading, validation, and the requirements on a text."""

import json
import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.errors import UserError
from dia.generate import main as run_generate
from dia.inference import Sampling, Voice
from dia.inference.voice_checks import voice_problems
from dia.model import Dia
from dia.network import DiaNetwork
from dia.voice import main as run_voice
from tests.conftest import TINY, TINY_CODEC

TRANSCRIPT = "[S1] We walked along the river until the light was gone, and nobody said a word."


@pytest.fixture
def dia():
    torch.manual_seed(0)
    return Dia.from_network(
        DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling()
    )


def noise(seconds):
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16_000))).astype(np.float32)


@pytest.fixture
def voice(dia):
    return dia.make_voice(noise(1.2), TRANSCRIPT[:30], shortest=1.0)  # the tiny network has room for 2.3 s


def test_a_saved_voice_loads_unchanged(voice, tmp_path):
    voice.save(tmp_path / "anna.voice")
    again = Voice.load(tmp_path / "anna.voice")
    assert torch.equal(again.codes_TC, voice.codes_TC) and again.codes_TC.dtype == torch.long
    assert (again.transcript, again.codec, again.fingerprint) == (
        voice.transcript,
        voice.codec,
        voice.fingerprint,
    )
    assert again.seconds == pytest.approx(1.2)
    assert [path.name for path in tmp_path.iterdir()] == ["anna.voice"]


@given(
    st.lists(st.integers(0, 32_767), min_size=1, max_size=20),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="[]()"), max_size=40),
)
@settings(max_examples=20)
def test_any_codes_and_any_words_load_unchanged(codes, words):
    import tempfile

    transcript = f"[S1] {words}."
    with tempfile.TemporaryDirectory() as folder:
        Voice(transcript, torch.tensor(codes)[:, None], "any", "f" * 64, 25.0).save(f"{folder}/any.voice")
        again = Voice.load(f"{folder}/any.voice")
    assert again.transcript == transcript and again.codes_TC.flatten().tolist() == codes


def test_a_voice_gives_the_results_of_its_prompt_and_transcript(dia, voice):
    generated = dia.generate("[S1] Yes.", 60, voice=voice, seed=3)
    prompted = dia.generate(f"{voice.transcript} [S1] Yes.", 60, audio_prompt=noise(1.2), seed=3)
    assert np.array_equal(generated, prompted)
    assert np.array_equal(np.concatenate(list(dia.stream("[S1] Yes.", 60, seed=3, voice=voice))), generated)


@pytest.mark.parametrize("keep", [0, 7, 40, -10])
def test_damaged_files_are_reported_with_their_path(voice, tmp_path, keep):
    voice.save(tmp_path / "anna.voice")
    whole = (tmp_path / "anna.voice").read_bytes()
    (tmp_path / "cut.voice").write_bytes(whole[:keep])
    with pytest.raises(UserError, match=r"cut.voice is missing or damaged.*create the voice again"):
        Voice.load(tmp_path / "cut.voice")


def stored_voice(path, codes=None, **changes):
    """Write a voice file with some values changed; a value None leaves the key out."""
    values = {"transcript": TRANSCRIPT, "codec": "any", "fingerprint": "f" * 64, "frame_rate": 25.0}
    values = {key: value for key, value in (values | changes).items() if value is not None}
    codes = torch.zeros(30, 4, dtype=torch.int16) if codes is None else codes
    save_file({"codes": codes}, path, {"format": "dia voice 1", "voice": json.dumps(values)})
    return path


@pytest.mark.parametrize(
    "codes, reason",
    [
        (torch.full((30, 4), -1), "-1 to -1"),
        (torch.full((30, 4), 32), "32 to 32, those of its codec 0 to 31"),
        (torch.zeros(30, 4), "float32"),
        (torch.zeros(30, 4, dtype=torch.bool), "bool"),
        (torch.zeros(30, dtype=torch.int16), "shape"),
        (torch.zeros(1, 30, 4, dtype=torch.int16), "shape"),
        (torch.zeros(0, 4, dtype=torch.int16), "shape"),
    ],
)
def test_codes_that_no_codec_gives_are_refused(tmp_path, codes, reason):
    with pytest.raises(UserError, match=reason):
        Voice.load(stored_voice(tmp_path / "a.voice", codes, codebook_size=32))


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"frame_rate": 0.0}, "frame_rate=0.0"),
        ({"frame_rate": float("nan")}, "frame_rate=nan"),
        ({"frame_rate": 1e9}, "frame_rate"),
        ({"frame_rate": "25"}, "frame_rate='25'"),
        ({"frame_rate": True}, "frame_rate=True"),
        ({"codebook_size": -1}, "codebook_size=-1"),
        ({"codebook_size": 10**18}, "codebook_size"),
        ({"transcript": 3}, "transcript=3 is no text"),
        ({"transcript": ["[S1] Hi."]}, "is no text"),
        ({"transcript": "[S1] " + "word " * 400}, "no script"),
        ({"transcript": "[S1] a\x01b"}, "no script"),
        ({"codec": None}, "damaged"),
        ({"fingerprint": {}}, "fingerprint={} is no text"),
    ],
)
def test_values_that_no_recording_has_are_refused(tmp_path, changes, reason):
    with pytest.raises(UserError, match=reason):
        Voice.load(stored_voice(tmp_path / "a.voice", **changes))


def test_codes_are_compared_with_a_published_codec_and_with_the_model(tmp_path, dia, voice):
    codes = torch.full((30, 8), 600, dtype=torch.int16)
    with pytest.raises(UserError, match="0 to 511"):
        Voice.load(stored_voice(tmp_path / "a.voice", codes, codec="codec_nano"))
    for codes in (torch.full((30, 4), 32), torch.zeros(30, 5, dtype=torch.long)):
        other = replace(voice, codes_TC=codes, codebook_size=0)
        with pytest.raises(UserError, match="make the voice with the codec of this model"):
            dia.generate("[S1] Yes.", 60, voice=other)


def test_a_fifo_is_no_voice(tmp_path):
    os.mkfifo(tmp_path / "a.voice")
    with pytest.raises(UserError, match="regular file"):
        Voice.load(tmp_path / "a.voice")


@pytest.mark.parametrize(
    "name", ["generate", "stream", "load_audio", "make_voice", "command line", "dia-voice make"]
)
def test_a_fifo_as_a_recording_is_refused_within_a_second(name, dia, tmp_path, monkeypatch, capsys):
    fifo, out = tmp_path / "a.wav", tmp_path / "out"
    os.mkfifo(fifo)
    out.mkdir()
    monkeypatch.setattr(Dia, "from_pretrained", lambda *_, **__: dia)
    calls = {
        "generate": lambda: dia.generate(TRANSCRIPT, 60, audio_prompt=str(fifo)),
        "stream": lambda: list(dia.stream(TRANSCRIPT, 60, audio_prompt=str(fifo))),
        "load_audio": lambda: dia.load_audio(fifo),
        "make_voice": lambda: dia.make_voice(str(fifo), TRANSCRIPT),
        "command line": lambda: run_generate([TRANSCRIPT, f"audio_prompt={fifo}", f"out={out / 'b.wav'}"]),
        "dia-voice make": lambda: run_voice(
            ["make", str(fifo), f"text={TRANSCRIPT}", f"out={out / 'a.voice'}"]
        ),
    }
    begin = time.process_time()
    with time_limit(20), pytest.raises((UserError, SystemExit)) as caught:
        calls[name]()
    said = str(caught.value) if isinstance(caught.value, UserError) else capsys.readouterr().err
    assert "a.wav is a named pipe; give an audio file" in said and not list(out.iterdir())
    assert time.process_time() - begin < (
        5 if name in ("command line", "dia-voice make") else 1
    )  # these import more


@contextmanager
def time_limit(seconds):
    """Interrupt what would wait for ever."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_files_that_are_no_voice_are_refused(tmp_path):
    save_file({"codes": torch.zeros(3, 4)}, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="not a voice file"):
        Voice.load(tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="missing or damaged"):
        Voice.load(tmp_path / "nobody.voice")


def test_an_existing_file_is_unchanged_when_the_disk_is_full(voice, tmp_path):
    (tmp_path / "anna.voice").mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(OSError):
        voice.save(tmp_path / "anna.voice")
    assert [path.name for path in tmp_path.iterdir()] == ["anna.voice"]


@pytest.mark.parametrize(
    "transcript, seconds, said",
    [
        ("", 6.0, "transcript is missing"),
        ("  ", 6.0, "transcript is missing"),
        (TRANSCRIPT, 4.9, "4.9 s long; give 5 to 10 s"),
        (TRANSCRIPT, 10.1, "10.1 s long"),
        ("[S1] Yes.", 6.0, "characters per second"),
        (f"{TRANSCRIPT} [S2] {TRANSCRIPT[5:]} [S1] {TRANSCRIPT[5:]}", 6.0, "characters per second"),
        (TRANSCRIPT[5:], 6.0, "does not begin with a speaker"),
        (f"{TRANSCRIPT} [S3] No.", 6.0, "[S3] is not a speaker"),
    ],
)
def test_all_problems_of_an_invalid_voice_are_reported(transcript, seconds, said):
    problems = voice_problems(transcript, seconds)
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    "transcript",
    [TRANSCRIPT, f"[S2] {TRANSCRIPT[5:]}", f"{TRANSCRIPT} (giggles wildly)", f"{TRANSCRIPT} [S1]"],
)
def test_a_valid_voice_has_no_problems(transcript):
    assert voice_problems(transcript, 5.5) == []


def test_a_text_needs_the_voices_speakers_and_room(voice):
    assert voice.problems_with("[S1] Yes.") == []
    assert "[S2] speaks in the text but not" in voice.problems_with("[S1] Yes? [S2] No.")[0]
    assert "cut it at a turn" in voice.problems_with("[S1] " + "word " * 400)[0]
    with pytest.raises(UserError, match="does not fit the voice"):
        voice.script("[S2] No.")


def test_a_voice_of_another_codec_is_refused(dia, voice):
    other = Voice(voice.transcript, voice.codes_TC, "other", "0" * 64, voice.frame_rate)
    with pytest.raises(UserError, match="is not the one that the voice was made with"):
        dia.generate("[S1] Yes.", 60, voice=other)
    with pytest.raises(UserError, match="give one of them"):
        dia.generate("[S1] Yes.", 60, voice=voice, audio_prompt=noise(1.2))
