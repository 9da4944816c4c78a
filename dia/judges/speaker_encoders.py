"""Larger speaker encoders, named by the user: WavLM with an x-vector head (a folder or a Hub id), and
ECAPA-TDNN (an ONNX file).

Neither is part of a wheel: without weights they are missing judges. Weights are read as tensors; nothing that
lies beside them (Python, YAML that makes objects, pickles) is run.
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
    """`WavLMForXVector` of transformers, such as `microsoft/wavlm-base-plus-sv` (512-d); `@` and a revision
    may follow the name.

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
        """Which model this is: its name, and the sha256 of its weights."""
        _, model = self._parts
        return Provenance(
            f"WavLM x-vector {self.source} (weights {state_dict_sha256(model.state_dict())})",
            f"transformers {version('transformers')}", SAMPLE_RATE, "as its card says", True,
        )  # fmt: skip

    @torch.inference_mode()
    def embed_waveform(self, waveform: Waveform) -> Embedding:
        """Return the unit embedding of a waveform at 16 kHz."""
        extractor, model = self._parts
        inputs = extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return unit(model(**inputs).embeddings[0])


class EcapaEncoder(SpeakerEncoder):
    """ECAPA-TDNN (or a ResNet) as WeSpeaker publishes it: an ONNX file that makes `embs` of `feats` (batch,
    frames, 80).

    Source: B. Desplanques et al., "ECAPA-TDNN", 2020; features as in wenet-e2e/wespeaker
    (wespeaker/bin/infer_onnx.py), without dither, so that the same sound gives the same vector.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    @cached_property
    def _session(self) -> Any:
        with loading_judge(f"ECAPA-TDNN in {self.file}"):
            if not Path(self.file).is_file():
                raise FileNotFoundError(f"there is no file {self.file}")
            made = session_of_one_thread(self.file)
            names = [item.name for item in made.get_inputs()], [item.name for item in made.get_outputs()]
            if names != (["feats"], ["embs"]):
                raise ValueError(
                    f"{self.file} takes {names[0]} and makes {names[1]}; `feats` and `embs` are wanted"
                )
            return made

    @cached_property
    def provenance(self) -> Provenance:
        """Which model this is: the sha256 of its file."""
        _ = self._session
        sha256 = hashlib.sha256(Path(self.file).read_bytes()).hexdigest()[:12]
        name = f"{Path(self.file).stem} (sha256 {sha256})"
        return Provenance(
            name, f"onnxruntime {version('onnxruntime')}", SAMPLE_RATE, "as its card says", True
        )

    def embed_waveform(self, waveform: Waveform) -> Embedding:
        """Return the unit embedding of a waveform at 16 kHz."""
        answer = self._session.run(["embs"], {"feats": filter_banks(waveform)[None].numpy()})
        return unit(torch.from_numpy(answer[0][0]))


def filter_banks(waveform: Waveform) -> torch.Tensor:
    """Return log mel energies (frames, 80) of a waveform at 16 kHz, as Kaldi computes them, less their mean
    over time.
    """
    from torchaudio.compliance import kaldi

    scaled = torch.from_numpy(np.ascontiguousarray(waveform))[None] * 2**15
    mels = kaldi.fbank(
        scaled, num_mel_bins=MELS, frame_length=25, frame_shift=10, dither=0.0, energy_floor=0.0,
        sample_frequency=SAMPLE_RATE, window_type="hamming", htk_compat=True, use_energy=False,
    )  # fmt: skip
    return mels - mels.mean(dim=0)


def unit(vector: torch.Tensor) -> Embedding:
    """Return a vector at length 1."""
    made: Embedding = torch.nn.functional.normalize(vector, dim=0).numpy().astype(np.float32)
    return made


def state_dict_sha256(weights: dict[str, torch.Tensor]) -> str:
    """Return twelve characters of the sha256 of all weights, in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()[:12]
