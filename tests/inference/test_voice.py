"""Voices: saving and loading, validation, and the requirements on a text."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.errors import UserError
from dia.inference import Sampling, Voice
from dia.inference.voice import voice_problems
from dia.model import Dia
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC

TRANSCRIPT = "[S1] We walked along the river until the light was gone, and nobody said a word."


@pytest.fixture
def dia():
    torch.manual_seed(0)
    return Dia(DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling())


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
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
@settings(max_examples=20)
def test_any_codes_and_any_transcript_load_unchanged(codes, transcript):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Voice(transcript, torch.tensor(codes)[:, None], "any", "f" * 64, 25.0).save(f"{folder}/any.voice")
        again = Voice.load(f"{folder}/any.voice")
    assert again.transcript == transcript and again.codes_TC.flatten().tolist() == codes


def test_a_voice_gives_the_results_of_its_prompt_and_transcript(dia, voice):
    generated = dia.generate("[S1] Yes.", 60, voice=voice, seed=3)
    prompted = dia.generate(f"{voice.transcript} [S1] Yes.", 60, audio_prompt=noise(1.2), seed=3)
    assert np.array_equal(generated, prompted)
    assert np.array_equal(np.concatenate(list(dia.stream("[S1] Yes.", 3, voice, 60))), generated)


@pytest.mark.parametrize("keep", [0, 7, 40, -10])
def test_damaged_files_are_reported_with_their_path(voice, tmp_path, keep):
    voice.save(tmp_path / "anna.voice")
    whole = (tmp_path / "anna.voice").read_bytes()
    (tmp_path / "cut.voice").write_bytes(whole[:keep])
    with pytest.raises(UserError, match=r"cut.voice is missing or damaged.*create the voice again"):
        Voice.load(tmp_path / "cut.voice")


def test_files_that_are_no_voice_are_refused(tmp_path):
    from safetensors.torch import save_file

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
        (f"[S2] {TRANSCRIPT[5:]}", 6.0, "begin with"),
        (f"{TRANSCRIPT} (giggles wildly)", 6.0, "giggles wildly"),
    ],
)
def test_all_problems_of_an_invalid_voice_are_reported(transcript, seconds, said):
    problems = voice_problems(transcript, seconds)
    assert any(said in problem for problem in problems), problems


def test_a_valid_voice_has_no_problems():
    assert voice_problems(TRANSCRIPT, 5.5) == []


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
