"""Larger speaker encoders, by a folder or a name at the Hugging Face Hub: WavLM with an x-vector head, and ECAPA-TDNN.

Neither is part of a wheel: without weights they are missing judges. Weights are read as tensors; nothing that lies beside them
(Python, YAML that makes objects, pickles) is run.
"""

import hashlib
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dia.judges.missing import or_missing
from dia.judges.provenance import Provenance
from dia.judges.speakers import SAMPLE_RATE, Embedding, VoiceEncoder

ECAPA_FILE = "embedding_model.ckpt"
MELS = 80


class WavLMEncoder(VoiceEncoder):
    """`WavLMForXVector` of transformers, such as `microsoft/wavlm-base-plus-sv` (512-d); `@` and a revision may follow the name.

    Source: S. Chen et al., "WavLM: large-scale self-supervised pre-training for full stack speech processing", 2022.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        name, _, revision = self.source.partition("@")
        with or_missing(f"WavLM {self.source}", "judges"):
            from transformers import AutoFeatureExtractor, WavLMForXVector

            extractor = AutoFeatureExtractor.from_pretrained(name, revision=revision or "main")
            return extractor, WavLMForXVector.from_pretrained(name, revision=revision or "main").eval()

    @cached_property
    def provenance(self) -> Provenance:
        """Which model this is: its name, and the sha256 of its weights."""
        _, model = self._parts
        return Provenance(
            f"WavLM x-vector {self.source} (weights {digest_of(model.state_dict())})",
            f"transformers {version('transformers')}", SAMPLE_RATE, "as its card says", True,
        )  # fmt: skip

    @torch.inference_mode()
    def embed_wave(self, wave: NDArray[np.float32]) -> Embedding:
        """Return the unit embedding of a wave at 16 kHz."""
        extractor, model = self._parts
        inputs = extractor(wave, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return unit(model(**inputs).embeddings[0])


class EcapaEncoder(VoiceEncoder):
    """ECAPA-TDNN as SpeechBrain trains it (192-d): a folder that holds `embedding_model.ckpt` of spkrec-ecapa-voxceleb.

    Source: B. Desplanques et al., "ECAPA-TDNN", 2020; features and shape as in speechbrain/spkrec-ecapa-voxceleb.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        with or_missing(f"ECAPA-TDNN in {self.folder}", "judges"):
            from speechbrain.lobes.features import Fbank
            from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

            weights = torch.load(self._file, map_location="cpu", weights_only=True)
            model = ECAPA_TDNN(
                MELS, device="cpu", channels=[1024, 1024, 1024, 1024, 3072], kernel_sizes=[5, 3, 3, 3, 1],
                dilations=[1, 2, 3, 4, 1], attention_channels=128, lin_neurons=192,
            )  # fmt: skip
            model.load_state_dict(weights)
            return Fbank(n_mels=MELS), model.eval()

    @property
    def _file(self) -> Path:
        return Path(self.folder) / ECAPA_FILE

    @cached_property
    def provenance(self) -> Provenance:
        """Which model this is: the sha256 of its file."""
        _ = self._parts
        sha256 = hashlib.sha256(self._file.read_bytes()).hexdigest()[:12]
        return Provenance(
            f"ECAPA-TDNN (sha256 {sha256})", f"speechbrain {version('speechbrain')}", SAMPLE_RATE, "as its card says", True
        )

    @torch.inference_mode()
    def embed_wave(self, wave: NDArray[np.float32]) -> Embedding:
        """Return the unit embedding (192,) of a wave at 16 kHz; features have their mean over time taken away."""
        features, model = self._parts
        mels = features(torch.from_numpy(np.ascontiguousarray(wave))[None])
        return unit(model(mels - mels.mean(dim=1, keepdim=True))[0, 0])


def unit(vector: torch.Tensor) -> Embedding:
    """Return a vector at length 1."""
    made: Embedding = torch.nn.functional.normalize(vector, dim=0).numpy().astype(np.float32)
    return made


def digest_of(weights: dict[str, torch.Tensor]) -> str:
    """Return twelve characters of the sha256 of all weights, in the order of their names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()[:12]
