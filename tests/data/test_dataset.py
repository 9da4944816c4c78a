"""Clips of prepared data sets: what does not fit the model is named before training starts."""

import random

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset

from dia.config.data import LabelsConfig
from dia.data.batching import Dropout, Span, TrainingBatches
from dia.data.clip import Clip, Emotion, LabelledTurn
from dia.data.collation import decoder_steps
from dia.data.dataset import DatasetShare, PreparedClips
from dia.data.schema import FEATURES, row_of
from dia.dialogue.text import decode_text, encode_text
from dia.errors import UserError
from dia.inference.voice import Voice
from tests.conftest import TINY

RATE = 8_000


def rows_of(*texts, emotion=None):
    rows = []
    for number, text in enumerate(texts):
        emotions = (Emotion("human", emotion),) if emotion else ()
        turn = LabelledTurn(1, text, 0.0, 1.0, "anna", emotions)
        clip = Clip(f"clip {number}", "test", "CC0", True, (turn,), (), np.zeros(RATE, np.float32), RATE)
        rows.append(row_of(clip, "train", np.zeros((5, 4), np.uint16), "codec", RATE, False))
    return Dataset(pa.Table.from_pylist(rows, FEATURES.arrow_schema))  # `datasets` needs torchcodec


def clips_of(rows, **labels):
    return PreparedClips([DatasetShare(rows, 1.0)], TINY, LabelsConfig(**labels))


def test_texts_that_are_too_long_are_named_before_training():
    longest = "a" * 1022  # [S1] is one id, and a space follows it
    assert len(clips_of(rows_of(longest, "short"))) == 2
    with pytest.raises(UserError, match=r"(?s)data\.too_long=skip.*clip 1 has a text of 1,025 bytes"):
        clips_of(rows_of("short", longest + "a"))
    labelled = rows_of("a" * 1015, emotion="whispering")
    assert len(clips_of(labelled)) == 1
    with pytest.raises(UserError, match="clip 0 has a text"):
        clips_of(labelled, emotion="prefix")


def test_a_prompt_that_makes_the_text_too_long_is_left_out():
    clips = clips_of(rows_of("a" * 600, "b" * 600, emotion="happy"), emotion="prompt", emotion_dropout=0.0)
    assert clips.partners
    for index in (0, 1):
        for seed in range(10):
            rng = random.Random(seed)
            example = clips.with_prompts(rng).examples(index, rng)[0]
            assert len(example.text_S) == 602 and len(example.codes_TC) == 5
    short = clips_of(rows_of("a" * 400, "b" * 400, emotion="happy"), emotion="prompt", emotion_dropout=0.0)
    drawn = (short.with_prompts(random.Random(seed)) for seed in range(10))
    sizes = {len(clips.examples(0, random.Random())[0].text_S) for clips in drawn}
    assert sizes == {402, len(encode_text(f"[S1] {'b' * 400} [S1] {'a' * 400}"))}


def test_a_prompt_precedes_its_clip_as_a_voice_precedes_a_text():
    clips = clips_of(rows_of("Hi.", "Go."), voice_prompt=1.0)
    drawn = (clips.with_prompts(random.Random(seed)) for seed in range(10))
    texts = {decode_text(prompted.examples(0, random.Random())[0].text_S.tolist()) for prompted in drawn}
    voice = Voice("[S1] Go.", torch.zeros(50, 4, dtype=torch.long), "codec", "", 25.0)
    assert texts == {"[S1] Hi.", voice.script("[S1] Hi.")}


def test_prompts_count_in_the_budget_of_a_batch():
    texts = [f"clip number {number}" for number in range(40)]
    clips = clips_of(rows_of(*texts, emotion="happy"), emotion="prompt", emotion_dropout=0.5)
    steps = decoder_steps(5, TINY)
    batches = TrainingBatches(clips, TINY, 4 * steps, Dropout(), 0, Span(0, 30))
    shapes = [batch.inputs_BTC.shape[:2] for batch in batches]
    assert all(count * length <= 4 * steps for count, length in shapes)
    assert {length for _, length in shapes} == {steps, decoder_steps(10, TINY)}
