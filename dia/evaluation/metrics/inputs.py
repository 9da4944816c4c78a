"""The inputs from which metrics are built: configuration, shared models, calibration of the detector."""

from collections.abc import Mapping
from dataclasses import dataclass

from dia.config.judges import JudgesConfig
from dia.evaluation.shared_models import SharedModels
from dia.judges.events import Calibration


@dataclass(frozen=True)
class MetricInputs:
    """The inputs of a `build` function; ``calibration`` has an entry for each tag of the detector."""

    config: JudgesConfig
    models: SharedModels
    calibration: Mapping[str, Calibration]
