"""Whisper invents no words for sounds without words, and the same sound always gives the same words."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from faster_whisper.tokenizer import Tokenizer
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.files import resample
from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled
from dia.dialogue import Script
from dia.evaluation.prompts import load_prompts
from dia.judges import transcription
from dia.judges.pocketsphinx import PocketSphinx
from dia.judges.recording import Recording
from dia.judges.repetition import LIMIT, STRETCH, compression_ratio, is_looping
from dia.judges.transcription import SETTINGS, Whisper, transcript
from dia.judges.unavailable import JudgeUnavailable
from dia.judges.voice_activity import speech_pieces
from dia.judges.words import word_errors
from dia.resources import resource

FIRST, SECOND = "The weather is lovely today, and we are going to the park.", "I would rather read a book."
RATE = 16_000


def tones(seconds, *frequencies):
    time = np.arange(round(RATE * seconds)) / RATE
    return sum(0.1 * np.sin(2 * np.pi * frequency * time) for frequency in frequencies)


def voiced_bursts(count):
    """Bursts of a buzz at 220 Hz with pauses of breath, as laughter has; the VAD takes it for speech."""
    burst = sum(tones(0.12, 220 * number) / number for number in range(1, 12)) * np.hanning(1920)
    pause = 0.02 * np.random.default_rng(0).standard_normal(1280)
    return np.concatenate([burst, pause] * count)


SOUNDS = {
    "silence": np.zeros(RATE * 5),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(RATE * 5),
    # for this chord Whisper repeats "see you in the next video" without its fallbacks, on some CPUs
    "music": tones(8, 220, 277, 330) * (np.sin(np.arange(RATE * 8) / RATE * 6) > 0),
    "breath": np.concatenate([0.1 * np.random.default_rng(0).standard_normal(RATE) * np.hanning(RATE)] * 5),
    "laughter": voiced_bursts(30),
}


def recording_of(waveform, script="[S1] Hello.", **known):
    return Recording("1", "s", Script.parse(script), np.float32(waveform), RATE, **known)


@pytest.fixture(scope="module")
def whisper():
    return Whisper()


@pytest.fixture(scope="module")
def voices():
    spoken = (
        speak_styled(Heart(), FIRST, STYLES["plain"], 0),
        speak_styled(Joe(), SECOND, STYLES["plain"], 0),
    )
    return [resample(waveform, SAMPLE_RATE, RATE) for waveform in spoken]


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_without_words_have_none(name, whisper):
    assert whisper.words(recording_of(SOUNDS[name])) == []


@pytest.mark.parametrize("name", ["noise", "music", "laughter"])
def test_long_sounds_between_words_add_and_hide_none(name, whisper, voices):
    recording = recording_of(
        np.concatenate([voices[0], SOUNDS[name], voices[1]]), f"[S1] {FIRST} [S2] {SECOND}"
    )
    words = whisper.words(recording)
    assert word_errors(recording.script, transcript(words)).errors <= 1
    begin, end = len(voices[0]) / RATE, (len(voices[0]) + len(SOUNDS[name])) / RATE
    assert not any(begin + 0.5 < word.start and word.end < end - 0.5 for word in words)


def looping_at_temperature_zero(model):
    """What Whisper decodes, but at temperature 0 a loop; whether a sound brings one depends on the CPU."""
    generate = model.generate
    begin = model.tokenizer.timestamp_begin
    words = model.tokenizer.encode(" see you in the next video" * 12)

    def looping(*inputs, **options):
        result = generate(*inputs, **options)
        if options.get("sampling_temperature"):
            return result
        tokens = [begin, *words, begin + 100]
        return [SimpleNamespace(sequences_ids=[tokens], scores=[-0.1], no_speech_prob=0.0)]

    return looping


def test_the_fallbacks_end_a_loop_of_words(whisper, voices, monkeypatch):
    speech = recording_of(voices[0], f"[S1] {FIRST}")
    model = SimpleNamespace(
        generate=whisper._model.model.generate,
        tokenizer=Tokenizer(whisper._model.hf_tokenizer, multilingual=False),
    )
    monkeypatch.setattr(whisper._model.model, "generate", looping_at_temperature_zero(model))
    assert word_errors(speech.script, transcript(whisper.words(speech))).errors <= 1
    monkeypatch.setitem(SETTINGS, "temperature", 0.0)
    assert is_looping(transcript(whisper.words(speech)))


def test_a_chord_never_becomes_a_loop_of_words(whisper, monkeypatch):
    monkeypatch.setattr(transcription, "speech_pieces", lambda waveform: [(0, len(waveform))])
    monkeypatch.setitem(SETTINGS, "max_new_tokens", 120)
    assert not is_looping(transcript(whisper.words(recording_of(SOUNDS["music"]))))


def test_drawn_words_depend_on_the_sound_only(whisper, voices, monkeypatch):
    """Also on what was transcribed before, by which model, and on the other threads."""
    monkeypatch.setitem(SETTINGS, "temperature", 1.0)
    monkeypatch.setitem(SETTINGS, "best_of", 1)
    noise = np.random.default_rng(1).standard_normal(RATE)
    recording = recording_of(voices[0][:RATE] + 0.02 * noise)
    first = whisper.words(recording)
    seeds = []
    sampling = whisper._model.model
    monkeypatch.setattr(
        sampling, "restart", lambda seed: (seeds.append(seed), type(sampling).restart(sampling, seed))
    )
    whisper.words(recording_of(voices[1]))
    assert whisper.words(recording) == first != []
    assert first == Whisper(threads=1).words(recording)
    assert len(set(seeds)) == 2
    others, restart = [], type(sampling).restart
    for number in range(1, 9):  # one other seed may draw the same words
        monkeypatch.setattr(sampling, "restart", lambda seed, by=number: restart(sampling, seed + by))
        others.append(whisper.words(recording))
    assert any(other != first for other in others)


def test_long_recordings_are_cut_in_pauses_and_joined(whisper, voices):
    pieces = [voices[0], SOUNDS["music"], np.zeros(RATE * 16), SOUNDS["noise"], voices[1]]
    recording = recording_of(np.concatenate(pieces), f"[S1] {FIRST} [S2] {SECOND}")
    assert recording.seconds > 30
    cuts = speech_pieces(recording.waveform)
    assert len(cuts) == 2 and all(end - start <= 30 * RATE for start, end in cuts)
    words = whisper.words(recording)
    assert word_errors(recording.script, transcript(words)).errors <= 1
    starts = [word.start for word in words]
    assert starts == sorted(starts) and words[-1].end <= recording.seconds + 0.5
    second = recording.seconds - len(voices[1]) / RATE
    assert sum(start >= second - 0.5 for start in starts) == len(SECOND.split())


def words_of(*spans):
    """A segment as faster-whisper returns it."""
    words = [
        SimpleNamespace(word=f" {text}", start=start, end=end, probability=1.0) for text, start, end in spans
    ]
    return [SimpleNamespace(words=words)], None


@pytest.mark.parametrize(
    ("again", "text"),
    [
        (
            [("there", 0.1, 0.4), ("are", 0.5, 0.7), ("more", 1, 2), ("words", 5, 6)],
            "so there are more words",
        ),
        ([("laughter", 0.0, 6.0)], "so there is"),  # nothing was hidden: the first result stays
    ],
)
def test_speech_that_a_word_of_many_seconds_hides_is_decoded_again(monkeypatch, again, text):
    replies = [words_of(("so", 0.2, 0.5), ("there", 2.0, 8.0), ("is", 8.0, 8.0)), words_of(*again)]
    seconds = []

    def transcribe(waveform, **_):
        seconds.append(len(waveform) / RATE)
        return replies[len(seconds) - 1]

    whisper = Whisper()
    model = SimpleNamespace(restart=lambda seed: None)
    whisper.__dict__["_model"] = SimpleNamespace(
        model=model, transcribe=transcribe, supported_languages=["en"]
    )
    monkeypatch.setattr(transcription, "speech_pieces", lambda waveform: [(0, len(waveform))])
    words = whisper.words(recording_of(tones(8.5, 220)))
    assert transcript(words) == text
    assert seconds == [8.5, 6.5]
    assert words[1].start == pytest.approx(2.1 if "more" in text else 2.0)


def test_speech_without_pauses_is_cut_within_thirty_seconds(voices):
    speech = np.tile(np.trim_zeros(voices[0]), 12)
    pieces = speech_pieces(speech)
    assert len(speech) > 30 * RATE and all(0 < end - start <= 30 * RATE for start, end in pieces)
    assert all(first[1] <= second[0] for first, second in pairwise(pieces))
    assert sum(end - start for start, end in pieces) > 0.9 * len(speech)


def test_recognisers_of_english_refuse_other_languages(whisper, voices):
    chinese = recording_of(voices[0], language="zh")
    with pytest.raises(JudgeUnavailable, match=r"knows English and not 'zh'.*judges.whisper="):
        whisper.words(chinese)
    with pytest.raises(JudgeUnavailable, match=r"knows English and not 'zh'.*judges.second_asr="):
        PocketSphinx().words(chinese)


@given(
    st.integers(10, 60),
    st.sampled_from(["See you in the next video. ", "Ja. ", "\u8c22\u8c22\u5927\u5bb6\u3002"]),
)
def test_a_phrase_again_and_again_is_a_loop_unless_the_script_says_so(rounds, phrase):
    assert is_looping(phrase * rounds) and is_looping(f"Bread and butter. {phrase * (rounds + 50)}")
    assert not is_looping(phrase * rounds, phrase * rounds) and not is_looping(phrase)


def test_no_shipped_script_is_a_loop():
    texts = [
        Script.parse(prompt.script).words()
        for path in sorted(resource("eval/prompts").glob("*.jsonl"))
        for prompt in load_prompts(path)
    ]
    ratios = [compression_ratio(text) for text in texts]
    assert len(ratios) > 50 and max(ratios) < LIMIT
    assert max(map(len, texts)) > 2 * STRETCH  # also long ones, which compress better as a whole
