"""Copies of training clips at other speeds."""

from dataclasses import replace

import numpy as np
import pytest

from dia.config.data import DataConfig
from dia.data.clip import Clip, LabelledNonverbal, LabelledTurn
from dia.data.prepare import prepare, request_of
from dia.data.prepared import open_prepared
from dia.data.sources.speed_perturbation import at_speed
from tests.data.test_prepare import config_for, make_corpus

RATE = 16_000


def tone(hertz, seconds):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def pitch_of(waveform):
    return np.argmax(np.abs(np.fft.rfft(waveform))) * RATE / len(waveform)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.5])
def test_a_copy_moves_pitch_and_times_together(factor):
    turn = LabelledTurn(1, "Hello there.", 0.0, 2.0, "anna")
    silent = LabelledTurn(2, "Yes.")
    sound = LabelledNonverbal("laughs", 0, 12, "human", 1.0, 1.5)
    clip = Clip("a", "made", "CC0", True, (turn, silent), (sound,), tone(200, 2), RATE)
    copy = at_speed(clip, factor)
    assert copy.seconds == pytest.approx(2 / factor, abs=1e-3)
    assert pitch_of(copy.waveform) == pytest.approx(200 * factor, rel=0.01)
    name = f"~{factor:g}"
    assert copy.turns == (replace(turn, end=2 / factor, voice=f"anna{name}"), silent)
    assert copy.nonverbals == (replace(sound, start=1 / factor, end=1.5 / factor),)
    assert copy.id == f"a{name}" and copy.script() == clip.script()


def test_training_clips_alone_are_copied(tmp_path):
    corpus = make_corpus(tmp_path / "clips")
    plain = config_for(corpus, tmp_path / "plain", tokens=False)
    perturbed = replace(plain, root=str(tmp_path / "perturbed"), speed_factors=[0.9, 1.1])
    before, after = (open_prepared(prepare(config, None)) for config in (plain, perturbed))
    assert len(after["train"]) == 3 * len(before["train"])
    assert len(set(after["train"]["id"])) == len(after["train"])
    for split in before.keys() - {"train"}:
        assert after[split]["id"] == before[split]["id"]
    assert "speed_factors" not in str(request_of(plain, None))  # the folders of earlier versions stay valid


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.0, 3.0, float("nan")])
def test_a_factor_out_of_range_is_reported(factor):
    assert any("speed_factors" in problem for problem in DataConfig(speed_factors=[factor]).problems())
