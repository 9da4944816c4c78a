"""Takes are a checkpoint's first attempts, generated once for everything that they depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.dialogue import Script
from dia.evaluation.cache import ContentCache
from dia.evaluation.prompts import Prompt
from dia.inference import Sampling
from dia.judges.recording import Recording
from dia.model import Dia
from dia.network import DiaNetwork
from dia.pipelines.evaluation.generate_takes import NO_VOICE, TakeGenerator, choose_voice
from tests.conftest import TINY, TINY_CODEC

SHORT = [Prompt("a", "[S1] Hello."), Prompt("b", "[S1] Good day to you.")]
LONG = Prompt(
    "long", " ".join(f"[S{1 + number % 2}] And so it went on, turn after turn." for number in range(40))
)


@pytest.fixture
def dia():
    torch.manual_seed(0)
    return Dia(DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling())


def recording(dia, seconds, script="[S1] We walked along the river until it was dark. [S2] So we did."):
    rate = dia.codec.sample_rate
    waveform = (0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate))).astype(np.float32)
    return Recording("v", "ground truth", Script.parse(script), waveform, rate)


def test_takes_are_generated_once_and_equal_those_of_the_inference_core(dia, tmp_path):
    takes = TakeGenerator(dia, ContentCache(tmp_path), None).generate(SHORT, 2)
    recordings = takes.recordings
    assert [(recording.prompt_id, recording.seed) for recording in recordings] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
    ] and takes.failures == []
    alone = dia.synthesizer.synthesize([SHORT[1].script], [1], dia.default_sampling)[0]
    assert np.allclose(recordings[3].waveform, alone.waveform, atol=1e-4)
    assert recordings[3].ended == alone.ended
    dia.synthesizer.synthesize = None  # nothing is generated again
    again = TakeGenerator(dia, ContentCache(tmp_path), None).generate(SHORT, 2).recordings
    assert all(
        np.array_equal(one.waveform, other.waveform) for one, other in zip(recordings, again, strict=True)
    )


def test_other_weights_sampling_and_seeds_are_other_takes(dia, tmp_path):
    cache = ContentCache(tmp_path)
    TakeGenerator(dia, cache, None).generate(SHORT, 1)
    dia.sampling(temperature=0.7)
    TakeGenerator(dia, cache, None).generate(SHORT, 1)
    with torch.no_grad():
        dia.network.logits_dense.weight.mul_(1.5)
    TakeGenerator(dia, cache, None).generate(SHORT, 1)
    assert cache.hits == 0 and len(list(tmp_path.rglob("*.json"))) == 6


def test_a_script_longer_than_the_model_needs_a_voice(dia, tmp_path):
    takes = TakeGenerator(dia, ContentCache(tmp_path), None).generate([LONG, SHORT[0]], 2)
    assert {recording.prompt_id for recording in takes.recordings} == {"a"}
    assert takes.failures == [(LONG, NO_VOICE)] * 2


def test_a_voice_is_a_recording_of_five_to_ten_seconds_of_two_speakers():
    roomy = replace(TINY, decoder=replace(TINY.decoder, max_positions=2000))
    dia = Dia(DiaNetwork(roomy), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling())
    alone = recording(
        dia, 6, "[S1] We walked along the river until it was quite dark, and then we went home."
    )
    assert choose_voice(dia, [recording(dia, 2)], "") is None
    found = choose_voice(dia, [recording(dia, 2), alone, recording(dia, 6)], "")
    assert found is not None and "[S2]" in found.transcript
