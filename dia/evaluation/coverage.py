"""What stands beside a verdict: the takes that each system lacks, and the clips that fail, with reasons."""

from collections import Counter
from collections.abc import Iterator

from dia.evaluation.not_measured import NOT_CHOSEN, NotMeasured
from dia.evaluation.results import SuiteResult
from dia.evaluation.scoring import SystemResult
from dia.evaluation.takes import REFERENCES

LEAST = 0.1  # of the clips of a system, above which the lower end of a rate is worth a sentence
WARNINGS = {
    "tags_read_aloud": "reads a tag aloud in",
    "voice_swaps": "has a turn in the wrong voice in",
    "false_insertion": "makes sounds that the script does not have in",
}
MOST_REASONS = 3


def coverage_sentences(result: SuiteResult) -> list[str]:
    """Return what is missing, what fails, and what is conspicuous, a sentence each; first the coverage."""
    systems = [system for system in result.systems if system.name not in REFERENCES]
    missing = [sentence for system in systems for sentence in _missing(system)]
    if systems and not missing:
        missing = ["Every system has all of its takes."]
    return missing + [sentence for system in systems for sentence in (*_failing(system), *_warnings(system))]


def unmeasured_sentences(result: SuiteResult) -> list[str]:
    """Return why a primary score has no value for any system, where ``metrics=`` does not leave it out."""
    sentences = []
    for name in result.suite.primary:
        scores = [system.metrics[name] for system in result.systems if name in system.metrics]
        reasons = [item.estimate.reason for item in scores if isinstance(item.estimate, NotMeasured)]
        if reasons and len(reasons) == len(scores) and NOT_CHOSEN not in reasons:
            sentences.append(f"{name} is not measured: {_most_common(Counter(reasons), counted=False)}.")
    return sentences


def _missing(system: SystemResult) -> Iterator[str]:
    takes = len(system.clips) + len(system.failures)
    if system.failures:
        reasons = _most_common(Counter(reason.partition(":")[0] for _, reason in system.failures))
        yield (
            f"{system.name}: {len(system.failures)} of {takes} takes are missing ({reasons}); "
            "they count as the worst value of each score."
        )


def _failing(system: SystemResult) -> Iterator[str]:
    problems_by_clip = [
        clip.scores["failures"].values.get("found", {}) for clip in system.clips if "failures" in clip.scores
    ]
    failing = sum(map(bool, problems_by_clip))
    if failing:
        kinds = Counter(kind.replace("_", " ") for problems in problems_by_clip for kind in problems)
        yield f"{system.name}: {failing} of {len(problems_by_clip)} clips fail ({_most_common(kinds)})."


def _warnings(system: SystemResult) -> Iterator[str]:
    for name, words in WARNINGS.items():
        result = system.metrics.get(name)
        # what missing takes are charged with is no observation
        seen = result and (result.complete or result).measured
        if seen and seen.low is not None and seen.low > LEAST:
            yield f"{system.name}: {words} {seen.value:.0%} of the clips."


def _most_common(counts: Counter[str], *, counted: bool = True) -> str:
    listed = [f"{name} {count}" if counted else name for name, count in counts.most_common(MOST_REASONS)]
    return ", ".join(listed) + (", ..." if len(counts) > MOST_REASONS else "")
