"""An evaluation: the suites' prompts, spoken by a checkpoint or recorded from others, measured, compared,
written.

Systems on a checkpoint's own data are the ground truth, the codec's round trip of it, and the model; recorded
systems (`python -m dia.eval record`) are scored on the prompts that they share with the suites. What was
spoken and measured before is found again; the same seeds give the same scores.json.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from dia.audio.files import resample
from dia.codecs.protocol import Codec, pad_to_frames
from dia.config.eval import EvalConfig
from dia.errors import UserError
from dia.evaluation.cache import ContentCache
from dia.evaluation.ground_truth import REFERENCE
from dia.evaluation.metrics.not_measured import Unavailable
from dia.evaluation.metrics.protocol import Context, Metric, Row
from dia.evaluation.metrics.registry import metrics_of
from dia.evaluation.prompts import prompts_sha256
from dia.evaluation.scoring import (
    System,
    clip_rows,
    comparisons,
    measure,
    provenance,
    resolve_metrics,
    rows_of,
)
from dia.evaluation.suite_prompts import Asked, NothingAsked, ask
from dia.evaluation.suites import Suite, load_suites
from dia.home import existing, in_home
from dia.judges.recording import Recording
from dia.pipelines.evaluation.calibration_data import Labelled, load_calibration_data
from dia.pipelines.evaluation.generate_takes import BEFORE, MODEL, Speaker, voice_of
from dia.pipelines.evaluation.load_inputs import Opened, load_inputs
from dia.systems.read_recordings import RecordedSystem, read_recorded

ROUND_TRIP = "codec round trip"
OWN = (REFERENCE, ROUND_TRIP, BEFORE, MODEL)  # systems in the voices of the data
ALONE = 4  # sentences that are timed one at a time


@dataclass(frozen=True)
class Measured:
    """A suite's systems, with their rows and how they compare."""

    suite: Suite
    asked: list[Asked]
    systems: list[System]
    rows: dict[str, dict[str, Row]]
    compared: list[dict[str, Any]]

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        prompts = [item.prompt for item in self.asked]
        return {
            "suite": asdict(self.suite), "prompts": len(prompts), "prompts_sha256": prompts_sha256(prompts),
            "systems": {name: {row.name: row.plain() for row in found.values()} for name, found in self.rows.items()},
            "failures": {system.name: _counted(reason for _, reason in system.failures) for system in self.systems},
            "comparisons": self.compared,
        }  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """All that was measured: suites, what the detector is calibrated on, where scores come from; and how long
    speaking took.
    """

    opened: Opened
    suites: list[Measured]
    skipped: dict[str, str]
    labelled: Labelled
    on_people: dict[str, Any] | None
    origins: dict[str, Any]
    problems: list[str]
    timing: dict[str, float] | None
    kept: ContentCache

    def clip_rows(self) -> list[dict[str, Any]]:
        """Return one flat row a clip."""
        return [
            row
            for found in self.suites
            for system in found.systems
            for row in clip_rows(found.suite.name, system)
        ]


def evaluate(config: EvalConfig) -> Evaluation:
    """Evaluate. Raises ``UserError`` for a missing checkpoint, suite, codec or recording, before anything is
    spoken.
    """
    suites = [suite.limited(config.prompts, config.seeds) for suite in load_suites(config.suite)]
    on_people = read_calibration(config.calibration)
    recorded = [read_recorded(existing(folder)) for folder in config.systems]
    opened = load_inputs(config, needs_data=any(suite.split for suite in suites))
    asked, skipped = _asked(suites, opened)
    kept = ContentCache(in_home(config.cache))
    labelled = load_calibration_data(opened.splits, kept)
    metrics = resolve_metrics(metrics_of(config.judges, labelled.calibration))
    speakers = [
        Speaker(dia, kept, voice_of(dia, labelled.voices, config.voice), name)
        for dia, name in ((opened.before, BEFORE), (opened.dia, MODEL))
        if dia
    ]
    found = []
    for suite in suites:
        if suite.name in asked:
            systems = _systems(asked[suite.name], suite, speakers, opened, recorded)
            found.append(
                _measured(suite, asked[suite.name], systems, _chosen(metrics, suite), labelled, kept)
            )
    if not any(measured.systems for measured in found):
        raise UserError(
            "no system has spoken a prompt of these suites; give ckpt=..., or systems=[outputs/SYSTEM/RUN] of theirs"
        )
    problems = _problems(recorded, asked)
    return Evaluation(
        opened,
        found,
        skipped,
        labelled,
        on_people,
        provenance(metrics),
        problems,
        _timing(speakers[-1], asked) if config.timing and speakers else None,
        kept,
    )


def read_calibration(file: str) -> dict[str, Any] | None:
    """Return what `python -m dia.eval calibrate` wrote, None for no file. Raises :class:`UserError`."""
    if not file:
        return None
    try:
        found: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"calibration={file} cannot be read ({error}); write it with python -m dia.eval calibrate"
        ) from error
    return found


def _asked(suites: Sequence[Suite], opened: Opened) -> tuple[dict[str, list[Asked]], dict[str, str]]:
    """What each suite asks; and why those that have nothing to ask here are not measured. A suite on its own
    must ask.
    """
    asked: dict[str, list[Asked]] = {}
    skipped: dict[str, str] = {}
    for suite in suites:
        try:
            asked[suite.name] = ask(suite, opened.splits)
        except NothingAsked as nothing:
            if len(suites) == 1:
                raise
            skipped[suite.name] = str(nothing)
    return asked, skipped


def _problems(recorded: Sequence[RecordedSystem], asked: Mapping[str, Sequence[Asked]]) -> list[str]:
    """What is wrong with recordings; those of other words under a prompt's id are not scored."""
    scripts = {item.prompt.id: item.prompt.script for found in asked.values() for item in found}
    problems = [f"{system.system}: {problem}" for system in recorded for problem in system.problems]
    return problems + [
        f"{system.system}: {prompt.id} was recorded with another script than the suite's; it is left out"
        for system in recorded
        for prompt in system.prompts
        if scripts.get(prompt.id, prompt.script) != prompt.script
    ]


Spoken = tuple[
    str, list[Recording], list[tuple[Any, str]]
]  # a system's name, its recordings, and its failures


def _systems(
    asked: Sequence[Asked],
    suite: Suite,
    speakers: Sequence[Speaker],
    opened: Opened,
    recorded: Sequence[RecordedSystem],
) -> list[Spoken]:
    """Every system's recordings of a suite's prompts, and its failures; systems that have neither are left
    out.
    """
    prompts = [item.prompt for item in asked]
    truth = [item.reference for item in asked if item.reference]
    found: list[Spoken] = [(REFERENCE, truth, [])]
    if opened.dia:
        found.append((ROUND_TRIP, [round_trip(recording, opened.dia.codec) for recording in truth], []))
    found += [(speaker.name, *speaker.speak(prompts, suite.seeds)) for speaker in speakers]
    known = {prompt.id: prompt for prompt in prompts}
    for system in recorded:
        theirs = {
            prompt.id
            for prompt in system.prompts
            if prompt.id in known and known[prompt.id].script == prompt.script
        }
        own = [recording for recording in system.recordings if recording.prompt_id in theirs]
        failed = [
            (known[item.prompt_id], f"{item.kind}: {item.message}")
            for item in system.failures
            if item.prompt_id in theirs
        ]
        found.append((system.system, own, failed))
    return [spoken for spoken in found if spoken[1] or spoken[2]]


def _chosen(metrics: Sequence[Metric], suite: Suite) -> list[Metric]:
    """The metrics of a suite; those that it leaves out keep their place and say so."""
    left_out = f"suite {suite.name} leaves it out, to be quick"
    return [
        Unavailable(metric.name, left_out) if metric.name in suite.without else metric for metric in metrics
    ]


def _measured(
    suite: Suite,
    asked: list[Asked],
    systems: Sequence[Spoken],
    metrics: Sequence[Metric],
    labelled: Labelled,
    kept: ContentCache,
) -> Measured:
    contexts = {item.prompt.id: Context(item.prompt, labelled.voices, item.reference) for item in asked}
    made = [System(name, failures=failures) for name, _, failures in systems]
    work = [
        (system, recording)
        for system, (_, recordings, _) in zip(made, systems, strict=True)
        for recording in recordings
    ]
    for system, recording in track(work, f"measuring {suite.name}"):
        context = contexts[recording.prompt_id]
        system.clips.append(
            measure(metrics, recording, context if system.name in OWN else replace(context, voices=()), kept)
        )
    rows = {system.name: rows_of(metrics, system) for system in made}
    return Measured(suite, asked, made, rows, comparisons(rows))


def round_trip(recording: Recording, codec: Codec) -> Recording:
    """Return a recording as the codec gives it back: the best that any model over this codec can sound."""
    waveform_BL = torch.from_numpy(resample(recording.waveform, recording.sample_rate, codec.sample_rate))[
        None
    ]
    made = (
        codec.decode(codec.encode(pad_to_frames(waveform_BL, codec.hop)))[0, : waveform_BL.shape[1]]
        .cpu()
        .numpy()
    )
    return replace(recording, system=ROUND_TRIP, waveform=made, sample_rate=codec.sample_rate)


def _timing(speaker: Speaker, asked: Mapping[str, Sequence[Asked]]) -> dict[str, float]:
    """How many times faster than real time the checkpoint speaks, one prompt at a time; never kept, never
    part of the scores.
    """
    prompts = [item.prompt.script for found in asked.values() for item in found][:ALONE]
    dia = speaker.dia
    dia.synthesizer.speak(prompts[:1], [0], dia.default_sampling)  # what is loaded once
    begun = time.perf_counter()
    seconds = 0.0
    for script in prompts:
        (speech,) = dia.synthesizer.speak([script], [0], dia.default_sampling)
        seconds += len(speech.waveform) / speech.sample_rate
    return {
        "prompts": len(prompts),
        "seconds_of_sound": seconds,
        "times_real_time": seconds / (time.perf_counter() - begun),
    }


def _counted(reasons: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for reason in reasons:
        found[reason] = found.get(reason, 0) + 1
    return found
