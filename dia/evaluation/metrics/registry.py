"""The list of all metrics. A new metric is one file with a `build` function and one line here.

The order is that of the report. A `build` function gets :class:`MetricInputs` (configuration, shared models,
calibration of the detector) and returns a :class:`Metric`; where the configuration names no model it returns
`no_model(...)`, which appears in the report with the reason.
"""

from collections.abc import Callable, Mapping

from dia.config.judges import JudgesConfig
from dia.evaluation import compatibility
from dia.evaluation.metrics import (
    attribution,
    emotion,
    failures,
    nonverbals,
    prosody,
    quality,
    speakers,
    turns,
    words,
)
from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import Metric
from dia.evaluation.shared_models import SharedModels
from dia.judges.ctc import CtcModel
from dia.judges.events import Calibration
from dia.judges.transcription import Whisper

METRICS: list[Callable[[MetricInputs], Metric]] = [
    words.build,
    words.build_second,
    speakers.build,
    speakers.build_wavlm,
    speakers.build_ecapa,
    attribution.build_attributed_words,
    attribution.build_permuted_similarity,
    turns.build,
    nonverbals.build,
    prosody.build_arousal,
    emotion.build,
    quality.build,
    quality.build_dnsmos,
    quality.build_utmos,
    prosody.build,
    failures.build,
    compatibility.build_seed_tts,
    compatibility.build_zipvoice,
]


def build_metrics(config: JudgesConfig, calibration: Mapping[str, Calibration]) -> list[Metric]:
    """Return every metric in the order of the report; models are loaded when they are first used."""
    models = SharedModels(
        Whisper(config.whisper or None), CtcModel(config.aligner) if config.aligner else None
    )
    inputs = MetricInputs(config, models, calibration)
    return [build(inputs) for build in METRICS]
