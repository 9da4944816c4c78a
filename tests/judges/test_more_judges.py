"""Judges that are named by config: real ones that run offline, and tiny random ones in the layouts of the
published weights.
"""

import json

import numpy as np
import pytest
import torch

from dia.audio.files import resample
from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, speak_styled
from dia.dialogue import Script
from dia.judges.ctc import CtcModel
from dia.judges.emotion import DIMENSIONS, DimensionalEmotion, RegressionHead
from dia.judges.pocketsphinx import PocketSphinx
from dia.judges.prosody import contour, pitch_track
from dia.judges.quality import DnsMos, UtMos
from dia.judges.recording import Recording
from dia.judges.speaker_encoders import EcapaEncoder, WavLMEncoder, filter_banks
from dia.judges.transcription import Whisper, transcript
from dia.judges.unavailable import JudgeUnavailable
from dia.judges.words import word_errors

TEXT = "The weather is lovely today, and we are going to the park."
CONV = {"conv_dim": [32, 32], "conv_kernel": [10, 8], "conv_stride": [10, 32], "num_feat_extract_layers": 2}
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
         "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, **CONV}  # fmt: skip


def recording_of(waveform, rate=SAMPLE_RATE):
    return Recording("1", "s", Script.parse(f"[S1] {TEXT}"), waveform, rate)


@pytest.fixture(scope="module")
def spoken():
    return recording_of(speak_styled(Heart(), TEXT, STYLES["plain"], 0))


@pytest.fixture(scope="module")
def noise():
    return recording_of(
        (0.1 * np.random.default_rng(0).standard_normal(2 * 16_000)).astype(np.float32), 16_000
    )


def test_pocketsphinx_recognises_words_without_memory_of_earlier_recordings(spoken, noise):
    sphinx = PocketSphinx()
    first = sphinx.words(spoken)
    assert word_errors(spoken.script, transcript(first)).rate < 0.5
    assert all(0 <= word.start < word.end <= spoken.seconds + 0.1 for word in first)
    sphinx.words(noise)
    assert sphinx.words(spoken) == first
    assert (
        sphinx.words(recording_of(np.zeros(32_000, np.float32)))
        == []
        == sphinx.words(recording_of(np.zeros(0, np.float32)))
    )


def test_dnsmos_rates_noise_below_speech(spoken):
    from speechmos import dnsmos

    predictor, quiet = DnsMos(), 0.02
    noisy = recording_of(
        (spoken.waveform + quiet * np.random.default_rng(0).standard_normal(len(spoken.waveform))).astype(
            np.float32
        )
    )
    clean, worse = predictor.predict(spoken), predictor.predict(noisy)
    assert clean["overall"] > worse["overall"] + 0.3 and clean["background"] > worse["background"]
    assert predictor.predict(recording_of(np.zeros(0, np.float32))) is None
    theirs = dnsmos.run(resample(spoken.waveform, SAMPLE_RATE, 16_000).clip(-1, 1), 16_000)
    assert [clean["overall"], clean["p808"]] == pytest.approx(
        [theirs["ovrl_mos"], theirs["p808_mos"]], abs=1e-4
    )
    assert (
        predictor.predict(recording_of(3 * spoken.waveform)) is not None
    )  # louder than full scale is clipped, not refused


def test_pitch_is_that_of_the_tone():
    tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)
    found = contour(tone)
    assert np.median(found.pitch[found.voiced]) == pytest.approx(200, rel=0.01)
    assert np.nanmedian(pitch_track(tone)) == pytest.approx(200, rel=0.01)
    assert (
        not contour(np.zeros(16_000, np.float32)).voiced.any()
        and not np.isfinite(pitch_track(np.zeros(16_000, np.float32))).any()
    )
    assert not contour(np.zeros(0, np.float32)).loud.any()


@pytest.fixture(scope="module")
def ctc_folder(tmp_path_factory):
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("ctc")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
    (folder / "vocab.json").write_text(json.dumps({letter: place for place, letter in enumerate(letters)}))
    torch.manual_seed(0)
    Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=len(letters), **SMALL)).save_pretrained(folder)
    Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(), Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    ).save_pretrained(folder)
    return folder


def test_a_ctc_model_in_the_published_layout_aligns_words_in_order(ctc_folder, spoken):
    model = CtcModel(str(ctc_folder))
    times = model.align(spoken, [*TEXT.split(), "42"])
    assert times[-1] is None and all(times[:-1])  # the vocabulary has no digits
    starts = [start for start, _ in times[:-1]]
    assert starts == sorted(starts) and all(
        0 <= start < end <= spoken.seconds + 0.01 for start, end in times[:-1]
    )
    assert model.align(recording_of(np.zeros(32_000, np.float32)), ["word"]) == [None]
    assert model.align(recording_of(spoken.waveform[:2_000]), TEXT.split()) == [None] * len(TEXT.split())
    assert "weights" in model.provenance.model and model.provenance == CtcModel(str(ctc_folder)).provenance


def test_a_ctc_model_returns_the_words_and_times_of_its_emissions(ctc_folder, spoken, monkeypatch):
    model = CtcModel(str(ctc_folder))
    symbols = [
        model._ids.get(letter, model._separator if letter == "|" else model._blank)
        for letter in "--HI|-T.OO-O-|"
    ]
    emissions = torch.full((len(symbols), 32), -20.0)
    emissions[range(len(symbols)), symbols] = 0.0
    monkeypatch.setattr(model, "_emissions", lambda _: (emissions.log_softmax(-1), 0.5))
    assert [(word.text, word.start, word.end) for word in model.words(spoken)] == [
        (" HI", 1.0, 2.0),
        (" TOO", 3.0, 6.5),
    ]
    aligned = model.align(spoken, ["hi", "too"])
    assert [start for start, _ in aligned] == [1.0, 3.0] and aligned[1][1] >= 5.5


def test_wavlm_in_the_published_layout_returns_unit_vectors(tmp_path, spoken):
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    torch.manual_seed(0)
    WavLMForXVector(
        WavLMConfig(tdnn_dim=(32, 32, 32, 32, 64), xvector_output_dim=16, classifier_proj_size=32, **SMALL)
    ).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    encoder = WavLMEncoder(str(tmp_path))
    embedding = encoder.embed(spoken, (0.0, 2.0))
    assert embedding.shape == (16,) and np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    assert encoder.embed(spoken, (0.0, 0.1)) is None and "weights" in encoder.provenance.model


def protobuf(*fields):
    """Bytes of a protobuf message of (number, value) fields: numbers, texts, and messages as bytes."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += varint(number << 3) + varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            made += varint(number << 3 | 2) + varint(len(content)) + content
    return made


def varint(value):
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def write_onnx(path, source="feats", target="embs"):
    """A model that takes the highest value over time: (1, frames, 80) to (1, 80)."""

    def tensor(name, *sizes):
        shape = protobuf(
            *((1, protobuf((1, size) if isinstance(size, int) else (2, size))) for size in sizes)
        )
        return protobuf((1, name), (2, protobuf((1, protobuf((1, 1), (2, shape))))))

    axes = protobuf((1, "axes"), (8, 1), (20, 7))
    kept = protobuf((1, "keepdims"), (3, 0), (20, 2))
    node = protobuf((1, source), (2, target), (4, "ReduceMax"), (5, axes), (5, kept))
    graph = protobuf((1, node), (2, "g"), (11, tensor(source, 1, "t", 80)), (12, tensor(target, 1, 80)))
    path.write_bytes(protobuf((1, 8), (7, graph), (8, protobuf((1, ""), (2, 13)))))


def test_an_onnx_encoder_receives_the_features_and_returns_unit_vectors(tmp_path, spoken):
    write_onnx(tmp_path / "model.onnx")
    encoder, waveform = EcapaEncoder(str(tmp_path / "model.onnx")), spoken.waveform[:16_000]
    highest = filter_banks(waveform).max(dim=0).values.numpy()
    assert encoder.embed_waveform(waveform) == pytest.approx(highest / np.linalg.norm(highest), abs=1e-5)
    assert "sha256" in encoder.provenance.model
    assert filter_banks(waveform).mean(dim=0).abs().max() < 1e-4 and filter_banks(waveform).shape == (98, 80)
    write_onnx(tmp_path / "other.onnx", source="waveform")
    with pytest.raises(JudgeUnavailable, match="instead of `feats` and `embs`"):
        _ = EcapaEncoder(str(tmp_path / "other.onnx")).provenance


def test_emotion_in_the_published_layout(tmp_path, spoken):
    from safetensors.torch import save_file
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(num_labels=3, **SMALL)
    network, head = Wav2Vec2Model(config).eval(), RegressionHead(config.hidden_size, 3)
    weights = {f"wav2vec2.{name}": value for name, value in network.state_dict().items()}
    weights |= {f"classifier.{name}": value for name, value in head.state_dict().items()}
    config.save_pretrained(tmp_path)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    found = DimensionalEmotion(str(tmp_path)).predict(recording_of(spoken.waveform[:16_000], 16_000))
    waveform = torch.from_numpy(spoken.waveform[:16_000])
    with torch.inference_mode():
        hidden = network(
            (waveform - waveform.mean())[None] / waveform.std(correction=0)
        ).last_hidden_state.mean(1)
        wanted = head(hidden)[0].tolist()
    assert [found[name] for name in DIMENSIONS] == pytest.approx(wanted, abs=1e-4)
    save_file(
        {name: value for name, value in weights.items() if "out_proj" not in name or "wav2vec2" in name},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(JudgeUnavailable, match="2 weights are missing"):
        _ = DimensionalEmotion(str(tmp_path)).provenance


def test_missing_or_unsuitable_weights_make_a_judge_unavailable(tmp_path):
    torch.save({"feature_extractors.0.x": torch.zeros(1)}, tmp_path / "utmos.pt")
    folder = str(tmp_path)
    judges = [
        UtMos(str(tmp_path / "none.pt")),
        UtMos(str(tmp_path / "utmos.pt")),
        EcapaEncoder(folder),
        EcapaEncoder(str(tmp_path / "utmos.pt")),
        Whisper("nope"),
    ]
    for judge in [*judges, CtcModel(folder), WavLMEncoder(folder), DimensionalEmotion(folder)]:
        with pytest.raises(JudgeUnavailable, match=r"\w"):
            _ = judge.provenance


def test_a_pickle_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    torch.save({"x": Trap()}, tmp_path / "utmos.pt")
    with pytest.raises(JudgeUnavailable, match="UTMOS"):
        _ = UtMos(str(tmp_path / "utmos.pt")).provenance
    assert not (tmp_path / "opened").exists()
