"""Words of a script are located by either aligner, and models run once per clip for all metrics."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dia.dialogue import Script
from dia.evaluation.metrics.nonverbals import tag_slots
from dia.evaluation.shared_models import CLIPS_CACHED, OUTPUTS_PER_CLIP, OutputCache, SharedModels
from dia.evaluation.turn_alignment import match_words, script_words, times_of_turns
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord

SCRIPT = Script.parse('[S1] (laughs) Well, "old" bread - and (coughs) (sighs) butter. [S2] Milk! (gasps)')


class FixedTranscript:
    """An ASR model with a fixed transcript that counts its calls."""

    provenance = Provenance("ear", "1", 16_000, "none", True)

    def __init__(self, *words):
        self.said, self.calls = words, 0

    def words(self, _):
        self.calls += 1
        return [RecognisedWord(f" {word}", place, place + 0.9) for place, word in enumerate(self.said)]


class Aligner(FixedTranscript):
    """A forced aligner that gives every word two seconds."""

    provenance = Provenance("aligner", "1", 16_000, "none", True)

    def align(self, _, words):
        return [(2.0 * place, 2.0 * place + 1.5) for place in range(len(words))]


def recording(script=SCRIPT, seed=0, **known):
    waveform = np.random.default_rng(seed).standard_normal(100).astype(np.float32)
    return Recording("p", "s", script, waveform, 16_000, **known)


def test_words_and_slots_of_a_script():
    assert [(word.turn, word.text) for word in script_words(SCRIPT)] == [
        (0, "Well,"), (0, '"old"'), (0, "bread"), (0, "and"), (0, "butter."), (1, "Milk!"),
    ]  # fmt: skip
    slots = [(item["tag"], item["slot"], item["speaker"]) for item in tag_slots(SCRIPT)]
    assert slots == [("laughs", 0, 1), ("coughs", 4, 1), ("sighs", 4, 1), ("gasps", 6, 2)]


words = st.lists(st.sampled_from(["red", "bread", "milk", "tea", "old"]), min_size=1, max_size=6)


@given(st.lists(words, min_size=1, max_size=4))
def test_recognised_words_are_located_word_by_word(turns):
    script = Script.parse(
        " ".join(f"[S{1 + place % 2}] {' '.join(turn)}" for place, turn in enumerate(turns))
    )
    said = [word for turn in turns for word in turn]
    found = match_words(script, FixedTranscript(*said).words(None))
    assert [word.times for word in found] == [(place, place + 0.9) for place in range(len(said))]
    ends = np.cumsum([len(turn) for turn in turns])
    assert times_of_turns(found, len(turns)) == [
        (end - len(turn), end - 0.1) for turn, end in zip(turns, ends, strict=True)
    ]


def test_the_configured_aligner_is_used_and_named():
    asr, made = FixedTranscript("well", "old"), recording()
    by_words, by_model = SharedModels(asr), SharedModels(asr, Aligner())
    assert by_words.script_words(made)[0].times == (0, 0.9) and by_words.script_words(made)[2].times is None
    assert by_model.script_words(made)[2].times == (4.0, 5.5) and by_model.turns(made) == [
        (0.0, 9.5),
        (10.0, 11.5),
    ]
    assert (
        "among the recognised" in by_words.alignment.provenance.settings
        and by_words.alignment.provenance.model == "ear"
    )
    assert (
        "forced_align" in by_model.alignment.provenance.settings
        and by_model.alignment.provenance.model == "aligner"
    )
    assert by_model.turns(recording(turn_times=((0.0, 1.0), (1.0, 2.0)))) == [(0.0, 1.0), (1.0, 2.0)]


def test_a_model_runs_once_per_clip_and_old_outputs_are_dropped():
    asr = FixedTranscript("well")
    models = SharedModels(asr)
    for _ in range(2):
        assert models.words(recording()) == models.words(recording())
    assert asr.calls == 1
    assert models.words(recording(seed=1)) and asr.calls == 2
    cache = OutputCache()
    for seed in range((OUTPUTS_PER_CLIP + 1) * CLIPS_CACHED):
        cache.get("x", recording(seed=seed), lambda: None)
    assert len(cache) == OUTPUTS_PER_CLIP * CLIPS_CACHED
