"""A third codec is one file and one registration; a model trains and generates with it."""

import hashlib
import json

import numpy as np
import pytest
import torch

from dia.checkpoint.doctor import describe
from dia.checkpoint.source import read_source
from dia.codecs.protocol import (
    CodecShape,
    CodecType,
    read_codec_config,
    require_codes,
    require_whole_frames,
)
from dia.codecs.registry import CODEC_TYPES, codec_shape, load_codec, portable_name, register_codec
from dia.codecs.vocoder import SamplesAsFeatures
from dia.config.compose import compose, typed
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.errors import UserError
from dia.model import Dia
from dia.pipelines.check_config import validate
from dia.train import run_task
from tests.tiny_world import RATE, TinyWorld

SMALLEST, LARGEST = 1e-4, 1.0  # amplitudes of the first and the last code


class LoudnessCodec(SamplesAsFeatures):
    """Codes the loudness of each part of a frame, one part a channel; decodes to square waves."""

    def __init__(self, shape, name):
        self.name = name
        self.sample_rate, self.hop = shape.sample_rate, shape.hop
        self.channels, self.codebook_size = shape.channels, shape.codebook_size
        self.context = self.encode_context = 0
        self.fingerprint = self.audio_fingerprint = hashlib.sha256(repr(shape).encode()).hexdigest()

    def encode(self, waveform_BL):
        require_whole_frames(waveform_BL, self.hop)
        parts_BTCS = waveform_BL.unflatten(1, (-1, self.channels, self.hop // self.channels))
        rms_BTC = parts_BTCS.square().mean(-1).sqrt().clamp(SMALLEST, LARGEST)
        share_BTC = (rms_BTC / SMALLEST).log() / np.log(LARGEST / SMALLEST)
        return (share_BTC * (self.codebook_size - 1)).round().long()

    def decode(self, codes_BTC):
        require_codes(codes_BTC, self.channels, self.codebook_size)
        share_BTC = codes_BTC.float() / (self.codebook_size - 1)
        rms_BTC = SMALLEST * (LARGEST / SMALLEST) ** share_BTC
        samples = self.hop // self.channels
        square_S = torch.where(torch.arange(samples) % 80 < 40, 1.0, -1.0)
        return (rms_BTC[..., None] * square_S).flatten(1)


def read_shape(folder):
    content = read_codec_config(folder)
    return CodecShape(**{key: value for key, value in content.items() if key != "type"})


LOUDNESS = CodecType(lambda path, name, device: LoudnessCodec(read_shape(path), name), read_shape)


@pytest.fixture
def codec_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("dia.codecs.registry.CODEC_TYPES", CODEC_TYPES.copy())
    register_codec("loudness", LOUDNESS)  # the one registration
    folder = tmp_path / "loudness"
    folder.mkdir()
    shape = {"channels": 4, "codebook_size": 32, "sample_rate": RATE, "hop": 640}
    (folder / "config.json").write_text(json.dumps({"type": "loudness", **shape}))
    return folder


def test_a_registered_codec_opens_by_its_folder(codec_folder):
    codec = load_codec(str(codec_folder))
    assert codec_shape(str(codec_folder)) == CodecShape(4, 32, RATE, 640)
    assert portable_name(str(codec_folder)) == str(codec_folder)
    codes = torch.randint(0, 32, (2, 7, 4))
    assert torch.equal(codec.encode(codec.decode(codes)), codes)
    with pytest.raises(ValueError, match="registered already"):
        register_codec("loudness", LOUDNESS)


def test_an_unregistered_type_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "config.json").write_text('{"type": "mimi"}')
    with pytest.raises(UserError, match="unknown type 'mimi'; known types are dac, spectral"):
        load_codec(str(tmp_path))


def test_a_model_trains_and_generates_with_a_third_codec(codec_folder, tmp_path):
    world = TinyWorld(tmp_path / "world")
    overrides = [*world.overrides(tmp_path / "runs"), *world.shape(), f"codec.name={codec_folder}"]
    config = typed(compose("train", ["+recipe=base", *overrides]))
    validate(config)
    codec = load_codec(str(codec_folder))
    rows = open_prepared(prepare(config.data, codec, config.engine))["train"]
    assert len(rows) and np.asarray(rows[0]["codes"]).max() < 32
    run = run_task(config)
    dia = Dia.from_pretrained(str(run), device="cpu")
    assert isinstance(dia.codec, LoudnessCodec) and dia.codec.name == str(codec_folder)
    waveform = dia.generate("[S1] Hello there.", max_tokens=24, seed=1)
    assert len(waveform) and len(waveform) % 640 == 0
    assert any(str(codec_folder) in line for line in describe(read_source(str(run))))
