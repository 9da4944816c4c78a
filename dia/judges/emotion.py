"""Dimensional emotion (arousal, dominance, valence in 0..1) by wav2vec 2.0 with a regression head.

Source: J. Wagner et al., "Dawn of the transformer era in speech emotion recognition", 2023; the head is that
of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` (CC BY-NC-SA 4.0, trained on MSP-Podcast): mean
over time, dense, tanh, dense. Weights are loaded as tensors; no code from the repository is executed.
"""

from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.speaker_encoders import state_dict_sha256
from dia.judges.unavailable import loading_judge

SAMPLE_RATE = 16_000
SHORTEST = 0.3  # seconds that the model needs
DIMENSIONS = ("arousal", "dominance", "valence")


class RegressionHead(nn.Module):
    """Regression head: dense, tanh, dense; (batch, width) to (batch, dimensions)."""

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, dimensions)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the dimensions (batch, dimensions)."""
        output: Tensor = self.out_proj(torch.tanh(self.dense(hidden)))
        return output


class DimensionalEmotion:
    """Predicts :data:`DIMENSIONS` with a model from a folder or the Hub, optionally `@revision`.

    Raises :class:`dia.judges.unavailable.JudgeUnavailable` on first use if it cannot be loaded.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    @cached_property
    def _model(self) -> Any:
        name, _, revision = self.source.partition("@")
        with loading_judge(f"the emotion model {self.source}", "judges"):
            from transformers import Wav2Vec2Model, Wav2Vec2PreTrainedModel

            class EmotionModel(Wav2Vec2PreTrainedModel):
                """The module structure of the published weights."""

                def __init__(self, config: Any) -> None:
                    super().__init__(config)
                    self.wav2vec2 = Wav2Vec2Model(config)
                    self.classifier = RegressionHead(config.hidden_size, config.num_labels)
                    self.post_init()  # type: ignore[no-untyped-call]  # transformers has none

            loaded: Any = EmotionModel.from_pretrained(
                name, revision=revision or "main", output_loading_info=True
            )
            model, loading = loaded
            # the name of this parameter, which only training uses, differs between versions of transformers
            if missing := sorted(key for key in loading["missing_keys"] if "masked_spec_embed" not in key):
                raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]}")
            if model.config.num_labels != len(DIMENSIONS):
                raise ValueError(
                    f"it has {model.config.num_labels} outputs instead of {', '.join(DIMENSIONS)}"
                )
            return model.eval()

    @cached_property
    def provenance(self) -> Provenance:
        """Name of the model and SHA-256 of its weights."""
        return Provenance(
            f"wav2vec 2.0 emotion {self.source} (weights {state_dict_sha256(self._model.state_dict())})",
            f"transformers {version('transformers')}",
            SAMPLE_RATE,
            "as its card says",
            True,
        )

    @torch.inference_mode()
    def predict(self, recording: Recording) -> dict[str, float] | None:
        """Return the dimensions of a recording, None if it is shorter than .3 s."""
        if recording.seconds < SHORTEST:
            return None
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE).astype(np.float64)
        waveform = (waveform - waveform.mean()) / np.sqrt(
            waveform.var() + 1e-7
        )  # as its feature extractor does
        hidden = self._model.wav2vec2(torch.from_numpy(waveform).float()[None]).last_hidden_state.mean(dim=1)
        return dict(zip(DIMENSIONS, self._model.classifier(hidden)[0].tolist(), strict=True))
