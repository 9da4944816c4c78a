"""Long scripts: splitting loses and reorders nothing, and joints have no clicks."""

import itertools
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.dialogue.script import Script
from dia.dialogue.tags import known_tags
from dia.errors import UserError
from dia.inference import Sampling
from dia.inference.guard import Finding
from dia.inference.long_form import faded, join_waveforms, split_script, trimmed
from dia.model import Dia
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC

RATE = 16_000
WORDS = st.lists(
    st.sampled_from(["yes", "river,", "over", "the", "light.", "(laughs)", "nobody!", "(clears throat)"]),
    max_size=60,
)
SCRIPTS = st.lists(st.tuples(st.sampled_from([1, 2]), WORDS), min_size=1, max_size=6)


def content_by_speaker(script):
    """Return speakers with their words and nonverbals in order; adjacent turns of one speaker are merged."""
    merged = []
    for turn in script.turns:
        content = turn.render().split(" ", 1)[1:]
        if merged and merged[-1][0] == turn.speaker:
            merged[-1][1].extend(content)
        else:
            merged.append((turn.speaker, content))
    return [(speaker, " ".join(content)) for speaker, content in merged]


@given(SCRIPTS, st.floats(2.0, 12.0), st.integers(60, 512))
@settings(max_examples=100)
def test_pieces_contain_the_whole_script_in_order_within_the_limits(turns, seconds, size):
    text = " ".join(f"[S{speaker}] {' '.join(words)}" for speaker, words in turns)
    pieces = split_script(text, seconds, size)
    rejoined = Script.parse(" ".join(pieces))
    assert content_by_speaker(rejoined) == content_by_speaker(Script.parse(text))
    for piece in pieces:
        assert len(piece.encode()) <= size
        parsed = Script.parse(piece)
        nonverbals = sum(len(turn.nonverbals) for turn in parsed.turns)
        assert all(nonverbal.tag in known_tags() for turn in parsed.turns for nonverbal in turn.nonverbals)
        assert len(parsed.words()) / 14.5 + nonverbals <= seconds + 1e-6


@given(SCRIPTS, st.floats(2.0, 12.0))
def test_exchanges_begin_with_the_first_speaker_wherever_the_answers_fit(turns, seconds):
    text = " ".join(f"[S{speaker}] {' '.join(words)}" for speaker, words in turns)
    pieces = split_script(text, seconds, exchanges=True)
    assert content_by_speaker(Script.parse(" ".join(pieces))) == content_by_speaker(Script.parse(text))
    for before, piece in itertools.pairwise(pieces):
        assert len(Script.parse(piece).words()) / 14.5 <= seconds + 1e-6
        answer = Script.parse(piece).turns[0]
        if not piece.startswith(pieces[0][:4]) and not answer.silent:
            joined = f"{before} {answer.render()}"
            assert split_script(joined, seconds) != [joined]


def test_an_exchange_is_a_piece():
    text = "[S1] Is it far? [S2] Not at all. [S1] Then we walk. [S2] In this rain? [S1] Why not?"
    pieces = ["[S1] Is it far? [S2] Not at all.", "[S1] Then we walk. [S2] In this rain?", "[S1] Why not?"]
    assert split_script(text, 3.0, exchanges=True) == pieces


def test_turns_stay_whole_where_they_fit():
    turns = [
        f"[S{1 + place % 2}] This is turn number {place}, and it says a few words." for place in range(12)
    ]
    pieces = split_script(" ".join(turns), 13.0)
    assert " ".join(pieces) == " ".join(turns)
    assert len(pieces) == 4 and len({len(piece.split("[S")) for piece in pieces}) == 1  # evenly


def test_a_long_turn_is_cut_at_sentences_then_clauses_then_words():
    sentence = "This sentence takes about three seconds to say."
    assert split_script(f"[S2] {sentence} {sentence}", 4.0) == [f"[S2] {sentence}"] * 2
    assert split_script(
        "[S1] Down by the river in the evening light, we walked and nobody said a word to us", 4.0
    )[1].startswith("[S1] we")
    assert all(len(piece) < 40 for piece in split_script("[S1] " + "word " * 50, 2.0))


def test_a_long_text_is_split_in_linear_time():
    text = "".join(f"[S{1 + place % 2}] " + "We said what there was to say. " * 4 for place in range(1_600))
    assert len(text) > 200_000
    started = time.process_time()
    pieces = split_script(text, 12.0)
    assert time.process_time() - started < 20  # takes a fraction of a second; quadratic time takes minutes
    assert (
        max(map(len, pieces)) <= 1_024
        and Script.parse(" ".join(pieces)).words() == Script.parse(text).words()
    )
    assert len(split_script("[S1] " + "word " * 40_000, 12.0)) > 800


@pytest.mark.parametrize("text", ["", "Hello without a speaker.", " \n"])
def test_an_invalid_script_is_refused(text):
    with pytest.raises(UserError, match="does not begin with a speaker"):
        split_script(text, 12.0)


def piece(seed, quiet=4_000):
    waveform = 0.3 * np.random.default_rng(seed).standard_normal(12_000)
    waveform[[0, -1]] = 0.3
    return np.concatenate([np.zeros(quiet), waveform, np.zeros(quiet)]).astype(np.float32)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.floats(0.0, 0.5))
@settings(max_examples=20)
def test_pieces_are_joined_without_a_click(seeds, pause):
    """Each piece is unchanged except for its fades; pauses separate pieces, and no boundary has a step."""
    parts = list(join_waveforms(map(piece, seeds), RATE, pause))
    sounds = parts[::2]
    assert len(sounds) == len(seeds) and all(
        len(part) == round(pause * RATE) and not part.any() for part in parts[1::2]
    )
    for seed, sound in zip(seeds, sounds, strict=True):
        assert sound[0] == sound[-1] == 0
        assert len(sound) == 12_000 + 2 * 800  # 50 ms on either side
        assert np.array_equal(sound[80:-80], piece(seed)[3_280:-3_280])


def test_fades_have_no_step_even_in_a_constant():
    result = faded(np.ones(1_000, dtype=np.float32), RATE)
    assert (
        result[0] == result[-1] == 0 and np.abs(np.diff(result)).max() < 0.025
    )  # of 80 steps, the steepest is pi / 160
    assert faded(np.ones(1, dtype=np.float32), RATE).tolist() == [1.0] and not len(faded(result[:0], RATE))


def test_pieces_of_silence_are_left_out():
    silent = np.zeros(8_000, dtype=np.float32)
    assert not len(trimmed(silent, RATE)) and not len(trimmed(silent[:0], RATE))
    parts = list(join_waveforms([silent, piece(1), silent, piece(2), silent], RATE))
    assert len(parts) == 3 and len(parts[1]) == RATE // 4


@pytest.fixture
def dia():
    torch.manual_seed(0)
    return Dia.from_network(
        DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling()
    )


@pytest.fixture
def roomy():
    """A model in which a prompt leaves room for a piece, and a voice."""
    torch.manual_seed(0)
    shape = replace(TINY, decoder=replace(TINY.decoder, max_positions=400))
    codec = SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny")
    dia = Dia.from_network(DiaNetwork(shape).eval(), codec, Sampling())
    return dia, voice_of(dia)


@pytest.fixture
def voice(dia):
    return voice_of(dia)


def voice_of(dia):
    noise = (0.1 * np.random.default_rng(0).standard_normal(RATE // 2)).astype(np.float32)
    return dia.make_voice(noise, "[S1] Hi. [S2] Ho.", shortest=0.4)


def test_each_piece_equals_its_generation_alone_in_the_same_voice(dia, voice):
    text = " ".join(f"[S{1 + place % 2}] Turn {place}." for place in range(10))
    joined = np.concatenate(list(dia.speak_long(text, voice, seed=5, batch=3, retries=0)))
    pieces = split_script(text, voice.room_seconds(TINY.max_frames), voice.room_bytes)
    assert len(pieces) > 3
    alone = [dia.generate(part, seed=5 + place, voice=voice) for place, part in enumerate(pieces)]
    assert np.array_equal(joined, np.concatenate(list(join_waveforms(alone, RATE))))


@pytest.mark.parametrize("in_voice", [True, False])
def test_in_context_each_piece_continues_the_piece_before_it(roomy, in_voice, monkeypatch):
    """Each piece but the first equals its generation alone, prompted by text and codes of its predecessor."""
    dia, voice = roomy
    first = voice if in_voice else None
    monkeypatch.setattr("dia.inference.guard.check_speech", lambda *_: [])  # random weights pass no check
    text = "[S1] " + " ".join(f"Turn {place}." for place in range(8))
    items = list(dia.speak_pieces(text, first, 5, piece_seconds=1.5, retries=0, context=True))
    pieces = split_script(text, 1.5)
    assert len(items) == len(pieces) > 2
    for place, (piece, item) in enumerate(zip(pieces, items, strict=True)):
        prompt = first
        codes_TC = items[place - 1].speech.codes_TC
        if place and len(codes_TC):  # a piece without sound is no prompt
            prompt = replace(voice, transcript=pieces[place - 1], codes_TC=codes_TC)
        (alone,) = dia.speak([piece], [5 + place], voice=prompt, lint="off")
        assert np.array_equal(item.speech.waveform, alone.speech.waveform)


@pytest.mark.parametrize("reason", ["a failed piece", "another speaker"])
def test_a_piece_that_cannot_be_a_prompt_is_replaced_by_the_voice(roomy, reason, monkeypatch):
    dia, voice = roomy
    failed = [Finding("loop", "it repeats itself")] if reason == "a failed piece" else []
    monkeypatch.setattr("dia.inference.guard.check_speech", lambda *_: failed)
    pieces = ["[S1] Turn 1.", "[S1] Turn 2." if failed else "[S2] Turn 2."]
    items = list(dia.speak_pieces(" ".join(pieces), voice, 5, piece_seconds=0.5, retries=0, context=True))
    alone = dia.speak([pieces[1]], [6], voice=voice, lint="off")
    assert np.array_equal(items[1].speech.waveform, alone[0].speech.waveform)


def test_a_script_of_two_minutes_holds_one_batch_in_memory(dia, voice, monkeypatch):
    text = " ".join(f"[S{1 + place % 2}] So this is turn {place}." for place in range(100))
    assert len(Script.parse(text).words()) / 14.5 > 120
    alive, most, speak = weakref.WeakSet(), 0, Dia.speak

    class Waveform(np.ndarray):
        """An array that accepts weak references and is hashed by identity."""

        __hash__ = object.__hash__
        __eq__ = object.__eq__

    def watched(self, some, seeds, **more):
        result = speak(self, some, seeds, max_tokens=24, **more)
        for item in result:
            object.__setattr__(item.speech, "waveform", item.speech.waveform.view(Waveform))
            alive.add(item.speech.waveform)
        return result

    monkeypatch.setattr(Dia, "speak", watched)
    pieces = 0
    for _ in dia.speak_long(text, voice, retries=0):
        pieces, most = pieces + 1, max(most, len(alive))
    assert pieces > 180 and most <= 16  # a batch, and the one before it while its last piece is read


def test_an_invalid_script_is_refused_before_generation_starts(dia, voice):
    with pytest.raises(UserError, match="[S3] speaks".replace("[", r"\[")):
        dia.speak_long("[S1] Yes. [S3] No.", voice)
    with pytest.raises(UserError, match="bytes"):
        dia.speak_long("[S1] " + "a" * 2_000, voice)
    with pytest.raises(UserError, match="surrogate"):
        dia.speak_long("[S1] half \ud83d", voice)
    with pytest.raises(UserError, match="leaves no room"):
        voice.room_seconds(30)
