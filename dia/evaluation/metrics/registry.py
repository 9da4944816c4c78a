"""The list of all metrics. A new metric is one file with a `build` function and one line here.

The order is that of the report. A `build` function gets :class:`MetricInputs` (configuration, shared models,
calibration of the detector) and returns a :class:`Metric`; where the configuration names no model it returns
`no_model(...)`, which appears in the report with the reason.
"""

from collections.abc import Callable, Mapping, Sequence

from dia.config.judges import JudgesConfig
from dia.errors import UserError
from dia.evaluation import compatibility
from dia.evaluation.metrics import (
    attribution,
    emotion,
    failures,
    identity,
    nonverbals,
    prosody,
    quality,
    speakers,
    turns,
    words,
)
from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import Metric
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.not_measured import NOT_CHOSEN
from dia.evaluation.shared_models import SharedModels
from dia.judges.ctc import CtcModel
from dia.judges.events import Calibration
from dia.judges.pocketsphinx import PocketSphinx
from dia.judges.transcription import Recogniser, Whisper

METRICS: list[Callable[[MetricInputs], Metric]] = [
    words.build,
    words.build_second,
    words.build_disagreement,
    speakers.build,
    speakers.build_wavlm,
    speakers.build_ecapa,
    attribution.build_attributed_words,
    attribution.build_permuted_similarity,
    turns.build,
    identity.build,
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
        Whisper(config.whisper or None, threads=1),  # clips are spread over processes instead
        CtcModel(config.aligner) if config.aligner else None,
        second=_second_recogniser(config.second_asr),
    )
    inputs = MetricInputs(config, models, calibration)
    return [build(inputs) for build in METRICS]


def _second_recogniser(name: str) -> Recogniser | None:
    if not name:
        return None
    return PocketSphinx() if name == "pocketsphinx" else CtcModel(name)


def choose_metrics(metrics: Sequence[Metric], names: Sequence[str]) -> list[Metric]:
    """Return the metrics, with placeholders for those that are not chosen.

    Args:
        metrics: All metrics.
        names: Names of metrics that are measured, or, with a minus before them, that are left out; without
            any all are measured.

    Raises:
        UserError: For unknown names, with the known ones.
    """
    known = [metric.name for metric in metrics]
    left_out = {name.removeprefix("-") for name in names if name.startswith("-")}
    chosen = {name for name in names if not name.startswith("-")}
    if unknown := sorted((left_out | chosen) - set(known)):
        raise UserError(
            f"metrics={','.join(names)}: there is no metric {', '.join(unknown)}; known: {', '.join(known)}"
        )
    measured = (chosen or set(known)) - left_out
    return [
        metric if metric.name in measured else UnavailableMetric(metric.name, NOT_CHOSEN)
        for metric in metrics
    ]
