"""Which takes become a pair, and how pairs become samples of training."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from dia.data.batching import sample_lengths, validation_batches
from dia.data.preferences.clips import PreferencePairs, PreferredTakes
from dia.data.preferences.pairs import JudgedTake, PairRule, choose_pairs
from dia.data.preferences.schema import PREFERENCE_FEATURES, Preference
from dia.dialogue import Script
from dia.errors import UserError
from dia.pipelines.preferences.rows import PairAudio, PairSource, pair_row
from tests.conftest import TINY

RULE = PairRule({"words": 1.0, "mos": 0.1}, {"words": 0.01, "mos": 0.05}, deviations=2.0, most=2)
SCORES = st.floats(-1, 0, allow_nan=False)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), SCORES, st.floats(1, 5), st.booleans()), min_size=1, max_size=20
    )
)
def test_pairs_are_of_one_prompt_beyond_the_noise_and_never_prefer_a_veto(values):
    takes = [
        JudgedTake(prompt, seed, {"words": words, "mos": mos}, ("loop",) if vetoed else ())
        for seed, (prompt, words, mos, vetoed) in enumerate(values)
    ]
    pairs, outcomes = choose_pairs(takes, RULE)
    for pair in pairs:
        assert pair.chosen.prompt_id == pair.rejected.prompt_id
        assert not pair.chosen.vetoes
        assert pair.margin == pair.chosen.reward(RULE.weights) - pair.rejected.reward(RULE.weights)
        assert pair.margin > RULE.least_margin
    prompts = {take.prompt_id for take in takes}
    assert sum(outcomes.values()) == len(prompts)
    assert outcomes["prompts: with a pair"] == len({pair.chosen.prompt_id for pair in pairs})
    assert all(sum(pair.chosen.prompt_id == prompt for pair in pairs) <= RULE.most for prompt in prompts)


def test_the_first_pair_of_a_prompt_is_its_best_and_its_worst_take():
    takes = [JudgedTake("a", seed, {"words": score}) for seed, score in enumerate((-0.5, 0.0, -0.2, -0.9))]
    pairs, _ = choose_pairs(takes, RULE)
    assert [(pair.chosen.seed, pair.rejected.seed) for pair in pairs] == [(1, 3), (2, 0)]


def test_what_became_of_each_prompt_is_counted():
    takes = [
        *(JudgedTake("equal", seed, {"words": -0.1}) for seed in range(3)),
        *(JudgedTake("close", seed, {"words": -0.01 * seed}) for seed in range(3)),
        *(JudgedTake("vetoed", seed, {"words": -0.5 * seed}, ("loop",)) for seed in range(3)),
        *(JudgedTake("apart", seed, {"words": -0.5 * seed}) for seed in range(3)),
    ]
    _, outcomes = choose_pairs(takes, RULE)
    assert outcomes == {
        "prompts: equal takes": 1,
        "prompts: within the judges' noise": 1,
        "prompts: every take has a veto": 1,
        "prompts: with a pair": 1,
    }


def codes(frames, seed):
    return np.random.default_rng(seed).integers(0, TINY.decoder.codebook_size, (frames, 4)).astype(np.uint16)


def of_rows(rows):
    return Dataset(pa.Table.from_pylist(rows, PREFERENCE_FEATURES.arrow_schema))


def dataset(*pairs):
    """A preference split of (chosen frames, rejected frames, voice frames, whether the rejected ended)."""
    rows = []
    for number, (chosen, rejected, voice, ended) in enumerate(pairs):
        audio = PairAudio(*(np.full(640, value, np.float32) for value in (0.1 * number, 0.2)), 16_000)
        preference = Preference("p", codes(rejected, 10 * number), ended, 0.5, "test")
        if voice:
            preference = replace(preference, voice_script="[S1] Before.", voice_codes=codes(voice, number))
        source = PairSource(f"pair-{number}", "test", "", True, Script.parse(f"[S1] Text {number}."))
        rows.append(
            pair_row(source, "train", codes(chosen, number), "tiny", audio, preference, keep_audio=True)
        )
    return of_rows(rows)


def test_a_sample_is_the_preferred_and_the_rejected_take_after_their_prompt():
    pairs = PreferencePairs(dataset((5, 8, 3, True), (4, 0, 0, False)), TINY)
    first, second = (pairs.examples(index, None) for index in range(2))
    assert [len(example.codes_TC) for example in (*first, *second)] == [8, 11, 4, 0]
    assert [example.prompt_frames for example in (*first, *second)] == [3, 3, 0, 0]
    assert [example.ended for example in (*first, *second)] == [True, True, True, False]
    assert torch.equal(first[0].codes_TC[:3], first[1].codes_TC[:3])
    assert bytes(first[0].text_S.tolist()).endswith(b"Before. \x01 Text 0.")
    assert pairs.frames == [11, 4]


def test_the_budget_of_a_batch_counts_both_takes():
    pairs = PreferencePairs(dataset(*[(5, 5, 0, True)] * 4), TINY)
    (steps,) = set(sample_lengths(pairs, TINY))
    assert steps == 2 * (5 + 1 + max(TINY.delays))
    batches = validation_batches(pairs, TINY, 2 * steps)
    assert [len(batch.ids) for batch in batches] == [4, 4]
    assert batches[0].targets_BTC.numel() <= 2 * steps * 4


def test_prompts_and_missing_ends_are_not_targets():
    (batch,) = validation_batches(PreferencePairs(dataset((5, 5, 3, False)), TINY), TINY, 1000)
    counted = (batch.targets_BTC <= TINY.decoder.eos).sum(1)
    assert counted[0].tolist() == [6] * 4 and counted[1].tolist() == [5] * 4
    assert (batch.targets_BTC[0] == TINY.decoder.eos).sum() == 4
    assert not (batch.targets_BTC[1] == TINY.decoder.eos).any()


def test_each_preferred_take_counts_once():
    rows = dataset((5, 8, 0, True), (4, 6, 0, True))
    again = rows.data.to_pylist()[0] | {"id": "again"}
    twice = of_rows([*rows.data.to_pylist(), again])
    takes = PreferredTakes(twice, TINY)
    assert len(takes) == 2 and takes.frames == [5, 4]
    assert [len(takes.examples(index, None)) for index in range(2)] == [1, 1]


def test_a_take_without_an_end_is_used_as_far_as_it_fits():
    pairs = PreferencePairs(dataset((5, 90, 3, False)), TINY)
    (chosen, rejected), longest = pairs.examples(0, None), TINY.max_frames
    assert [len(chosen.codes_TC), len(rejected.codes_TC)] == [8, longest]
    assert pairs.frames == [longest]


def test_takes_that_do_not_fit_the_model_are_named():
    with pytest.raises(UserError, match="pair-1 has 90 frames"):
        PreferencePairs(dataset((5, 5, 0, True), (90, 5, 0, True)), TINY)
