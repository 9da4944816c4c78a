"""Predicted mean opinion scores (1 to 5): DistillMOS, DNSMOS, UTMOS. None of them measures expressiveness."""

import hashlib
import io
from contextlib import redirect_stdout
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dia.audio.files import resample
from dia.judges.librosa_import import import_librosa
from dia.judges.onnx import session_of_one_thread
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.unavailable import loading_judge

SAMPLE_RATE = 16_000
SHORTEST = 0.3  # seconds of the shortest input
DNSMOS_FILES = ("sig_bak_ovr.onnx", "model_v8.onnx")
DNSMOS_ANSWERS = {"ovrl_mos": "overall", "sig_mos": "signal", "bak_mos": "background", "p808_mos": "p808"}


class DistillMos:
    """DistillMOS on the CPU; its wheel contains the weights."""

    @cached_property
    def _model(self) -> Any:
        with loading_judge("DistillMOS"):
            import distillmos

        with redirect_stdout(io.StringIO()):  # it prints where its weights lie
            return distillmos.ConvTransformerSQAModel().eval()

    @property
    def provenance(self) -> Provenance:
        """Name and version. Raises :class:`dia.judges.unavailable.JudgeUnavailable` if it is missing."""
        with loading_judge("DistillMOS"):
            import distillmos  # noqa: F401
        return Provenance("DistillMOS", version("distillmos"), SAMPLE_RATE, "MIT", True)

    @torch.inference_mode()
    def predict(self, recording: Recording) -> float | None:
        """Return the predicted score of a recording, None if it is shorter than .3 s."""
        if recording.seconds < SHORTEST:
            return None
        waveform = torch.from_numpy(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
        return float(self._model(waveform[None]))


class DnsMos:
    """DNSMOS P.835 and P.808; the wheel of speechmos contains the weights.

    Source: C. Reddy et al., "DNSMOS P.835", 2022. Its input is 9 s long; shorter waveforms are repeated.
    """

    @cached_property
    def _model(self) -> Any:
        with loading_judge("DNSMOS"):
            import_librosa()  # which speechmos imports
            from speechmos import dnsmos

        files = [str(Path(dnsmos.__file__).parent / "dnsmos_models" / name) for name in DNSMOS_FILES]
        model = dnsmos.DNSMOS(*files)
        # its own sessions use all cores: slow beside other work, and results depend on the number of cores
        model.onnx_sess, model.p808_onnx_sess = map(session_of_one_thread, files)
        return model

    @property
    def provenance(self) -> Provenance:
        """Name and version. Raises :class:`dia.judges.unavailable.JudgeUnavailable` if it is missing."""
        with loading_judge("DNSMOS"):
            import_librosa()
            import speechmos.dnsmos  # noqa: F401
        return Provenance(
            "DNSMOS P.835 and P.808", f"speechmos {version('speechmos')}", SAMPLE_RATE, "MIT", True
        )

    def predict(self, recording: Recording) -> dict[str, float] | None:
        """Return `overall`, `signal`, `background` and `p808`; None if shorter than .3 s."""
        if recording.seconds < SHORTEST:  # an empty waveform would be repeated infinitely
            return None
        resampled = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        output = self._model(np.clip(resampled, -1.0, 1.0), SAMPLE_RATE, False)  # refuses louder samples
        return {name: float(output[key]) for key, name in DNSMOS_ANSWERS.items()}


class UtMos:
    """UTMOS22 strong learner of utmos-pytorch, with weights from a file.

    Source: T. Saeki et al., "UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge 2022". The weights are not
    part of the package (huggingface.co/Blinorot/UTMOS-PyTorch); they are loaded as tensors.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    @cached_property
    def _model(self) -> Any:
        with loading_judge(f"UTMOS in {self.file}", "judges"):
            from utmos_pytorch.utmos_torch import UTMOSModel, UTMOSScoreTorch

            weights = torch.load(self.file, map_location="cpu", weights_only=True)
            # the package itself ignores missing weights
            if missing := sorted(set(UTMOSModel().state_dict()) - set(weights)):
                raise ValueError(f"{self.file}: {len(missing)} weights are missing, such as {missing[0]}")
            return UTMOSScoreTorch(self.file)

    @cached_property
    def provenance(self) -> Provenance:
        """Name and version. Raises :class:`dia.judges.unavailable.JudgeUnavailable` if it is missing."""
        _ = self._model
        sha256 = hashlib.sha256(Path(self.file).read_bytes()).hexdigest()[:12]
        return Provenance(
            f"UTMOS22 strong (sha256 {sha256})",
            f"utmos-pytorch {version('utmos-pytorch')}",
            SAMPLE_RATE,
            "MIT",
            True,
        )

    @torch.inference_mode()
    def predict(self, recording: Recording) -> float | None:
        """Return the predicted score of a recording, None if it is shorter than .3 s."""
        if recording.seconds < SHORTEST:
            return None
        waveform = torch.from_numpy(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
        return float(self._model.score(waveform)[0])
