"""Mean opinion score as DistillMOS predicts it (1 to 5)."""

from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording

SAMPLE_RATE = 16_000
SHORTEST = 0.3  # seconds that the model needs


class QualityPredictor:
    """DistillMOS on the CPU; its weights are in its wheel."""

    @cached_property
    def _model(self) -> Any:
        import distillmos

        return distillmos.ConvTransformerSQAModel().eval()

    @property
    def provenance(self) -> Provenance:
        """Which model this is."""
        return Provenance("DistillMOS", version("distillmos"), SAMPLE_RATE, "MIT", True)

    @torch.inference_mode()
    def predict(self, recording: Recording) -> float | None:
        """Return the predicted score of a recording, None when it is shorter than .3 s."""
        if recording.seconds < SHORTEST:
            return None
        wave = torch.from_numpy(resample(recording.wave, recording.sample_rate, SAMPLE_RATE))
        return float(self._model(wave[None]))
