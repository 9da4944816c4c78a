"""The report of an evaluation: one HTML page without external files, with audio and plots inside.

The answer comes first (sentences for each pair of systems), then audio side by side, then scores in groups,
and at the end what was not measured. The template is `dia/resources/templates/report.html.j2`; this module
builds its values from :class:`EvaluationResults`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dia.audio.files import flac_bytes
from dia.evaluation.clip_times import detector_thresholds, timeline
from dia.evaluation.coverage import coverage_sentences
from dia.evaluation.plots import learning_curve, png_url, spectrogram
from dia.evaluation.published import Published, published_of
from dia.evaluation.report_tables import (
    detector_rows,
    difference_rows,
    distributions_url,
    failure_lines,
    not_measured_rows,
    origin_rows,
    published_rows,
    tag_table,
)
from dia.evaluation.results import EvaluationResults, SuiteResult
from dia.evaluation.score_format import counted, counted_range
from dia.evaluation.score_table import PublishedBySystem, score_table
from dia.evaluation.scoring import ScoredClip, SystemResult
from dia.evaluation.sentences import explain, overall_sentence
from dia.evaluation.shown_prompts import choose_prompts
from dia.evaluation.takes import BASELINE, MODEL
from dia.evaluation.verdicts import BETTER, WORSE, Verdict, main_verdict, rank_systems, verdicts_of
from dia.html import render_page

MOST_VERDICTS = 3  # on the first screen; of more, those of the first system
REPETITION_SHOWN = 120  # characters of a transcript that repeats itself


def render_report(results: EvaluationResults, published: Sequence[Published]) -> str:
    """Return the page as HTML; everything that comes from outside is escaped."""
    beside = published_by_system(results, published)
    shown = {item for items in beside.values() for item in items}
    return render_page(
        "report.html.j2",
        styles=("report.css",),
        title=f"Evaluation of {results.checkpoint or 'recorded systems'}",
        systems=describe_systems(results),
        problems=results.problems,
        suites=[_suite_values(item, beside) for item in results.suites],
        learning=results.learning,
        learning_plot=png_url(learning_curve(results.learning)) if results.learning else "",
        speed=results.speed,
        detector=results.detector,
        detector_rows=detector_rows(results.detector),
        published_rows=published_rows([item for item in published if item not in shown]),
        not_measured=not_measured_rows(results),
        origins=origin_rows(results),
    )


def published_by_system(results: EvaluationResults, published: Sequence[Published]) -> PublishedBySystem:
    """Return the published results of each evaluated system, a checkpoint by the name of its path."""
    paths = {MODEL: results.checkpoint, BASELINE: results.baseline}
    names = {system.name for item in results.suites for system in item.systems}
    return {name: published_of(paths.get(name, name), published) for name in names}


def describe_systems(results: EvaluationResults) -> list[str]:
    """Return what the names of our own checkpoints stand for."""
    paths = {MODEL: results.checkpoint, BASELINE: results.baseline}
    names = {system.name for item in results.suites for system in item.systems}
    return [f"{name}: {path}" for name, path in paths.items() if path and name in names]


def _suite_values(result: SuiteResult, published: PublishedBySystem) -> dict[str, Any]:
    verdicts = verdicts_of(result)
    few = len(verdicts) <= MOST_VERDICTS
    main = [item for item in verdicts if few or item.subject == verdicts[0].subject]
    table = score_table(result, published)
    return {
        "name": result.suite.name,
        "about": f"{counted(len(result.prompts), 'prompt')}, {counted_range(result.takes(), 'take')} each",
        "overall": overall_sentence(verdicts),
        "verdicts": [_verdict_values(item, result) for item in main],
        "other_verdicts": [_verdict_values(item, result) for item in verdicts[len(main) :]],
        "coverage": coverage_sentences(result),
        "clips": _clips_by_prompt(result),
        "table": table,
        "published": {
            group.title: published_rows(group.published) for group in table.groups if group.published
        },
        "failures": failure_lines(result.systems),
        **tag_table(result.systems),
        **difference_rows(result),
        "distributions": distributions_url(result.systems),
    }


def _verdict_values(verdict: Verdict, result: SuiteResult) -> dict[str, Any]:
    kind = verdict.answer if verdict.answer in (BETTER, WORSE) else "same"
    return {"badge": verdict.answer, "kind": kind, "words": explain(verdict, result)}


def _clips_by_prompt(result: SuiteResult) -> list[dict[str, Any]]:
    """Return the chosen prompts with the first take of every system, side by side."""
    by_name = {system.name: system for system in result.systems}
    systems = [by_name[name] for name in rank_systems(list(by_name))]
    thresholds = detector_thresholds(systems)
    return [
        {
            "script": item.prompt.script,
            "reason": item.reason,
            "takes": [_take_values(system, item.prompt.id, thresholds) for system in systems],
        }
        for item in choose_prompts(result, main_verdict(result))
    ]


def _take_values(system: SystemResult, prompt_id: str, thresholds: Mapping[str, float]) -> dict[str, Any]:
    takes = [clip for clip in system.clips if clip.recording.prompt_id == prompt_id]
    if not takes:
        reasons = [reason for prompt, reason in system.failures if prompt.id == prompt_id]
        return {"system": system.name, "missing": reasons[0] if reasons else "there is no take"}
    clip = min(takes, key=lambda take: take.recording.seed)
    recording = clip.recording
    has_audio = len(recording.waveform) > 0
    return {
        "system": system.name,
        "missing": "",
        "about": f"take {recording.seed + 1} of {len(takes)}, {recording.seconds:.1f} s",
        "flac": flac_bytes(recording.waveform, recording.sample_rate) if has_audio else b"",
        "spectrogram": png_url(spectrogram(recording), margins=False) if has_audio else "",
        "times": timeline(clip, thresholds),
        "transcript": _transcript(clip),
    }


def _transcript(clip: ScoredClip) -> str:
    """Return the transcript of a clip from the values of its word error rate, empty where it has none."""
    words: Mapping[str, Any] = clip.scores["wer"].values if "wer" in clip.scores else {}
    text = str(words.get("transcript", ""))
    if words.get("not_recognised"):
        return f"(not recognised, the transcript repeats itself) {text[:REPETITION_SHOWN]} ..."
    return text or ("(no words recognised)" if "transcript" in words else "")
