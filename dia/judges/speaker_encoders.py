"""Larger speaker encoders with weights of the user: WavLM x-vectors and ECAPA-TDNN (ONNX).

Without weights they are unavailable judges. Weights are loaded as tensors; no code beside them (Python, YAML
objects, pickles) is executed.
"""

import hashlib
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dia.judges.onnx import session_of_one_thread
from dia.judges.provenance import Provenance
from dia.judges.speakers import SAMPLE_RATE, Embedding, SpeakerEncoder
from dia.judges.unavailable import loading_judge
from dia.types import Waveform

MELS = 80


class WavLMEncoder(SpeakerEncoder):
    """WavLM x-vectors from a folder or the Hub, such as `microsoft/wavlm-base-plus-sv` (512-d), or
    `@revision`.

    Source: S. Chen et al., "WavLM: large-scale self-supervised pre-training for full stack speech
    processing", 2022.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        name, _, revision = self.source.partition("@")
        with loading_judge(f"WavLM {self.source}", "judges"):
            from transformers import AutoFeatureExtractor, WavLMForXVector

            extractor = AutoFeatureExtractor.from_pretrained(name, revision=revision or "main")
            return extractor, WavLMForXVector.from_pretrained(name, revision=revision or "main").eval()

    @cached_property
    def provenance(self) -> Provenance:
        """Name of the model and SHA-256 of its weights."""
        _, model = self._parts
        return Provenance(
            f"WavLM x-vector {self.source} (weights {state_dict_sha256(model.state_dict())})",
            f"transformers {version('transformers')}",
            SAMPLE_RATE,
            "as its card says",
            True,
        )

    @torch.inference_mode()
    def embed_waveform(self, waveform: Waveform) -> Embedding:
        """Return the unit embedding of a waveform at 16 kHz."""
        extractor, model = self._parts
        inputs = extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return unit(model(**inputs).embeddings[0])


class EcapaEncoder(SpeakerEncoder):
    """ECAPA-TDNN (or a ResNet) of WeSpeaker: an ONNX file with `feats` (batch, frames, 80) and `embs`.

    Source: B. Desplanques et al., "ECAPA-TDNN", 2020; features as in wenet-e2e/wespeaker
    (wespeaker/bin/infer_onnx.py), without dither, so that results are deterministic.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    @cached_property
    def _session(self) -> Any:
        with loading_judge(f"ECAPA-TDNN in {self.file}"):
            if not Path(self.file).is_file():
                raise FileNotFoundError(f"there is no file {self.file}")
            session = session_of_one_thread(self.file)
            inputs = [item.name for item in session.get_inputs()]
            outputs = [item.name for item in session.get_outputs()]
            if inputs != ["feats"] or outputs != ["embs"]:
                raise ValueError(
                    f"{self.file} has inputs {inputs} and outputs {outputs} instead of `feats` and `embs`"
                )
            return session

    @cached_property
    def provenance(self) -> Provenance:
        """Name and SHA-256 of the file."""
        _ = self._session
        sha256 = hashlib.sha256(Path(self.file).read_bytes()).hexdigest()[:12]
        name = f"{Path(self.file).stem} (sha256 {sha256})"
        return Provenance(
            name, f"onnxruntime {version('onnxruntime')}", SAMPLE_RATE, "as its card says", True
        )

    def embed_waveform(self, waveform: Waveform) -> Embedding:
        """Return the unit embedding of a waveform at 16 kHz."""
        outputs = self._session.run(["embs"], {"feats": filter_banks(waveform)[None].numpy()})
        return unit(torch.from_numpy(outputs[0][0]))


def filter_banks(waveform: Waveform) -> torch.Tensor:
    """Return Kaldi's log mel energies (frames, 80) of a waveform at 16 kHz, minus their mean over time."""
    from torchaudio.compliance import kaldi

    scaled = torch.from_numpy(np.ascontiguousarray(waveform))[None] * 2**15
    mels = kaldi.fbank(
        scaled,
        num_mel_bins=MELS,
        frame_length=25,
        frame_shift=10,
        dither=0.0,
        energy_floor=0.0,
        sample_frequency=SAMPLE_RATE,
        window_type="hamming",
        htk_compat=True,
        use_energy=False,
    )
    normalized: torch.Tensor = mels - mels.mean(dim=0)
    return normalized


def unit(vector: torch.Tensor) -> Embedding:
    """Return the vector scaled to length 1."""
    scaled: Embedding = torch.nn.functional.normalize(vector, dim=0).numpy().astype(np.float32)
    return scaled


def state_dict_sha256(weights: dict[str, torch.Tensor]) -> str:
    """Return the first twelve digits of the SHA-256 of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
