"""Takes are a checkpoint's first attempts, generated once for everything that they depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.engine import EngineConfig
from dia.dialogue import Script
from dia.engines.run import Workers
from dia.evaluation.cache import ContentCache
from dia.evaluation.generation_protocols import GenerationProtocol
from dia.evaluation.prompts import Prompt
from dia.evaluation.suite_prompts import PromptItem
from dia.inference import Sampling
from dia.judges.recording import Recording
from dia.model import Dia
from dia.network import DiaNetwork
from dia.pipelines.evaluation.generate_takes import NO_TRANSCRIPT, NO_VOICE, TakeGenerator, choose_voice
from dia.pipelines.evaluation.take_jobs import TakeMaker
from tests.conftest import TINY, TINY_CODEC

SHORT = [Prompt("a", "[S1] Hello."), Prompt("b", "[S1] Good day to you.")]
LONG = Prompt(
    "long", " ".join(f"[S{1 + number % 2}] And so it went on, turn after turn." for number in range(40))
)


@pytest.fixture
def dia():
    torch.manual_seed(0)
    return Dia.from_network(
        DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling()
    )


def recording(dia, seconds, script="[S1] We walked along the river until it was dark. [S2] So we did."):
    rate = dia.codec.sample_rate
    waveform = (0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate))).astype(np.float32)
    return Recording("v", "ground truth", Script.parse(script), waveform, rate)


def items(prompts, voice=None):
    return [PromptItem(prompt, voice=voice) for prompt in prompts]


def generate(dia, cache, prompt_items, seeds, voice=None):
    """The takes that this process generates."""
    maker = TakeMaker({"model": dia}, {}, cache)
    with Workers(EngineConfig(workers=0), maker, gpu=False) as workers:
        return TakeGenerator(dia, cache, voice).generate(prompt_items, seeds, workers)


def test_takes_are_generated_once_and_equal_those_of_the_inference_core(dia, tmp_path):
    takes = generate(dia, ContentCache(tmp_path), items(SHORT), 2)
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
    again = generate(dia, ContentCache(tmp_path), items(SHORT), 2).recordings
    assert all(
        np.array_equal(one.waveform, other.waveform) for one, other in zip(recordings, again, strict=True)
    )


def test_other_weights_sampling_and_seeds_are_other_takes(dia, tmp_path):
    cache = ContentCache(tmp_path)
    generate(dia, cache, items(SHORT), 1)
    dia.sampling(temperature=0.7)
    generate(dia, cache, items(SHORT), 1)
    with torch.no_grad():
        dia.network.logits_dense.weight.mul_(1.5)
    generate(dia, cache, items(SHORT), 1)
    assert cache.hits == 0 and len(list(tmp_path.rglob("*.json"))) == 6


def test_a_script_longer_than_the_model_needs_a_voice(dia, tmp_path):
    takes = generate(dia, ContentCache(tmp_path), items([LONG, SHORT[0]]), 2)
    assert {recording.prompt_id for recording in takes.recordings} == {"a"}
    assert takes.failures == [(LONG, NO_VOICE)] * 2


def test_each_protocol_is_a_system_whose_takes_are_those_of_the_inference_core(dia, tmp_path):
    script = Prompt("c", "[S1] Well, it went on and on. [S2] So it did. [S1] Until it ended.")
    cache = ContentCache(tmp_path)
    protocols = {
        "one pass": GenerationProtocol("one pass"),
        "retries": GenerationProtocol("retries", retries=2),
        "pieces": GenerationProtocol("pieces", piece_seconds=1.5, retries=1),
    }
    takes = {}
    with Workers(EngineConfig(workers=0), TakeMaker({"model": dia}, {}, cache), gpu=False) as workers:
        for name, protocol in protocols.items():
            generator = TakeGenerator(dia, cache, None, protocol=protocol)
            takes[name] = generator.generate(items([script]), 1, workers)
    assert [system.name for system in takes.values()] == [f"model: {name}" for name in protocols]
    assert cache.hits == 0
    once = dia.generate(script.script, seed=0, lint="off")
    assert np.allclose(takes["one pass"].recordings[0].waveform, once, atol=1e-4)  # stored with 16 bits
    (guarded,) = dia.speak([script.script], [0], retries=2, lint="off")
    assert np.allclose(takes["retries"].recordings[0].waveform, guarded.speech.waveform, atol=1e-4)
    assert takes["retries"].recordings[0].ended == guarded.speech.ended
    pieces = list(dia.speak_long(script.script, None, 0, piece_seconds=1.5, retries=1, lint="off"))
    assert np.allclose(takes["pieces"].recordings[0].waveform, np.concatenate(pieces), atol=1e-4)


def test_a_voice_is_a_recording_of_five_to_ten_seconds_of_two_speakers():
    roomy = replace(TINY, decoder=replace(TINY.decoder, max_positions=2000))
    dia = Dia.from_network(DiaNetwork(roomy), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling())
    alone = recording(
        dia, 6, "[S1] We walked along the river until it was quite dark, and then we went home."
    )
    assert choose_voice(dia, [recording(dia, 2)], "") is None
    found = choose_voice(dia, [recording(dia, 2), alone, recording(dia, 6)], "")
    assert found is not None and "[S2]" in found.transcript


def test_a_prompt_with_a_voice_prompt_is_spoken_in_that_voice(tmp_path):
    roomy = replace(TINY, decoder=replace(TINY.decoder, max_positions=400))
    torch.manual_seed(0)
    dia = Dia.from_network(
        DiaNetwork(roomy).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling()
    )
    voice = recording(dia, 2, "[S1] We walked along the river until it was dark.")
    other = Prompt("c", "[S2] Who is it?")
    takes = generate(dia, ContentCache(tmp_path), items([SHORT[0], other], voice), 1)
    (spoken,) = takes.recordings
    alone = dia.synthesizer.synthesize(
        [f"{voice.script.render()} {SHORT[0].script}"],
        [0],
        dia.default_sampling,
        prompts=[dia.encode_prompt(voice.waveform)],
    )[0]
    assert np.allclose(spoken.waveform, alone.waveform, atol=1e-4)
    ((failed, reason),) = takes.failures
    assert failed is other and "[S2] speaks" in reason
    silent = replace(voice, script=Script.parse("[S1]"))  # a voice prompt without its transcript
    ((failed, reason),) = generate(dia, ContentCache(tmp_path), items([SHORT[0]], silent), 1).failures
    assert failed is SHORT[0] and reason == NO_TRANSCRIPT
    plain = generate(dia, ContentCache(tmp_path), items([SHORT[0]]), 1).recordings[0]
    assert len(plain.waveform) != len(spoken.waveform) or not np.allclose(plain.waveform, spoken.waveform)
