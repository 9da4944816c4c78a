"""Attribution of words to speakers, and the order of arousal, on invented outputs of models."""

from itertools import permutations

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.dialogue import Script
from dia.evaluation.diarization import speaker_runs, voices_of_words
from dia.evaluation.metrics.attribution import AttributedWords, _cp_errors, best_permutation
from dia.evaluation.metrics.prosody import Arousal
from dia.evaluation.metrics.protocol import ClipScore, Context
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord

SCRIPT = "[S1] red bread [S2] cold milk [S1] warm tea [S2] old cake"
WORDS = ["red", "bread", "cold", "milk", "warm", "tea", "old", "cake"]
VECTORS = np.eye(8, dtype=np.float32)


class InventedModels(SharedModels):
    """Words of two seconds each, and windows of their voices; at a change of voice one is a mixture."""

    def __init__(self, words, voices):
        self._words = [
            RecognisedWord(f" {word}", 2.0 * place, 2.0 * place + 1.9) for place, word in enumerate(words)
        ]
        self._voices = voices

    def words(self, _):
        return self._words

    def windows(self, _):
        middles = np.arange(0.2, 2 * len(self._words), 0.4, dtype=np.float32)
        owner = [self._voices[min(int(middle // 2), len(self._voices) - 1)] for middle in middles]
        made = VECTORS[owner].copy()
        for place in range(1, len(owner)):
            if owner[place] != owner[place - 1]:
                made[place] = (VECTORS[owner[place]] + VECTORS[owner[place - 1]]) / np.sqrt(2)
        return middles, made

    def turns(self, recording):
        return [(4.0 * place, 4.0 * place + 3.9) for place in range(len(recording.script.turns))]


def measured(words=WORDS, voices=(0, 0, 1, 1, 0, 0, 1, 1)):
    recording = Recording("p", "s", Script.parse(SCRIPT), np.zeros(16_000, np.float32), 16_000)
    return AttributedWords(InventedModels(words, voices)).measure(recording, Context(Prompt("p", SCRIPT)))


def test_names_of_voices_do_not_matter_and_their_number_is_estimated():
    for voices in ((0, 0, 1, 1, 0, 0, 1, 1), (3, 3, 2, 2, 3, 3, 2, 2)):
        assert measured(voices=voices) == {
            "errors": 0,
            "timed_errors": 0,
            "words": 8,
            "voices": 2,
            "speakers": 2,
        }


def test_one_voice_and_three_are_counted():
    assert measured(voices=[0] * 8)["voices"] == 1 and measured(voices=[0] * 8)["errors"] == 8
    three = measured(voices=(0, 0, 1, 1, 0, 0, 2, 2))
    assert three["voices"] == 3 and three["errors"] == 4


def test_words_of_the_other_voice_are_errors_of_attribution_only():
    found = measured(voices=(0, 0, 1, 1, 1, 1, 1, 1))
    assert (
        found["errors"] == 4 and found["voices"] == 2
    )  # two are missing from one voice, and are too many in the other


def test_words_at_the_wrong_time_are_errors_of_time_only():
    found = measured(WORDS[4:6] + WORDS[2:4] + WORDS[:2] + WORDS[6:])
    assert found["timed_errors"] > 0


def turns_of(*voices):
    words = st.lists(st.sampled_from(["red", "tea", "milk"]), min_size=1, max_size=3)
    return st.lists(st.tuples(st.sampled_from(voices), words), min_size=1, max_size=5)


@given(turns_of(1, 2), turns_of(0, 1))
@settings(max_examples=30)
def test_cpwer_is_the_best_permutation_of_plain_word_errors(wanted, said):
    """Against jiwer on the two ways to match two voices with two speakers."""

    def texts(turns):
        return [{"speaker": str(name), "words": " ".join(words)} for name, words in turns]

    def joined(turns, name):
        return " ".join(word for own, words in turns if own == name for word in words)

    def errors(one, other):
        if not one:
            return len(other.split())
        found = jiwer.process_words(one, other)
        return found.substitutions + found.deletions + found.insertions

    pairs = [(joined(said, 0), joined(said, 1)), (joined(said, 1), joined(said, 0))]
    best = min(
        errors(joined(wanted, 1), first) + errors(joined(wanted, 2), second) for first, second in pairs
    )
    assert _cp_errors(texts(wanted), texts(said)) == best


def test_no_words_have_no_voices():
    assert (
        voices_of_words([], np.zeros(0, np.float32), np.zeros((0, 4), np.float32)) == []
        and speaker_runs([], []) == []
    )
    assert measured(words=[], voices=[0])["errors"] == 8


def test_the_best_permutation():
    assert best_permutation([VECTORS[1], VECTORS[0]], [VECTORS[0], VECTORS[1]]) == 1
    random = np.random.default_rng(0)
    found, wanted = random.standard_normal((2, 3, 4))
    assert best_permutation(found, wanted) == pytest.approx(
        max(np.mean([a @ b for a, b in zip(p, wanted, strict=True)]) for p in permutations(found))
    )


def arousal_clip(group, level, features):
    return ClipScore(
        Prompt(f"{group}-{level}", "[S1] a", group=group, arousal=level),
        0,
        {"turns": [[1, *one] for one in features]},
    )


@pytest.mark.parametrize("lift, agreement", [(1.0, 1.0), (0.0, 0.5), (-1.0, 0.0)])
def test_arousal_is_an_order(lift, agreement):
    base = np.array([7.0, -30.0, 14.0])
    step = np.array([0.3, 6.0, 3.0])
    clips = [
        arousal_clip(f"g{number}", level, [base + 0.01 * number * step + sign * lift * step])
        for number in range(5)
        for level, sign in (("high", 1), ("low", -1))
    ]
    rows = {row.name: row.estimate.value for row in Arousal(SharedModels()).summarise(clips)}
    assert rows["arousal_agreement"] == agreement and np.sign(rows["arousal_difference"]) == np.sign(lift)
    louder = [
        ClipScore(clip.prompt, 0, {"turns": [[s, p, e + 20, r] for s, p, e, r in clip.values["turns"]]})
        for clip in clips
    ]
    assert {
        row.name: row.estimate.value for row in Arousal(SharedModels()).summarise(louder)
    } == pytest.approx(rows)
