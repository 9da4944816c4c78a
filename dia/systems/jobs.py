"""What there is to record: every prompt, every take, and why some are not asked at all."""

from dataclasses import dataclass

from dia.dialogue import Script
from dia.dialogue.lint import estimated_seconds
from dia.evaluation.prompts import Prompt
from dia.systems.declaration import Declaration
from dia.systems.protocol import Call, System
from dia.systems.script_rendering import Dialect, in_dialect


@dataclass(frozen=True)
class Job:
    """One take of one prompt. With a ``refused`` kind nothing is asked; ``message`` says why."""

    prompt: Prompt
    take: int
    dialect: Dialect
    calls: tuple[Call, ...]
    refused: str = ""
    message: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """Prompt id and take."""
        return self.prompt.id, self.take


@dataclass(frozen=True)
class Estimate:
    """What asking takes, before it is asked. ``dollars`` is None where the price is not known."""

    requests: int
    characters: int
    seconds: float
    dollars: float | None


def plan(prompts: list[Prompt], takes: int, system: System, declaration: Declaration) -> list[Job]:
    """Return all jobs, take by take, so that a recording that is cut off has whole takes rather than whole
    prompts.
    """
    return [_job(prompt, take, system, declaration) for take in range(takes) for prompt in prompts]


def estimate(jobs: list[tuple[Job, int]], declaration: Declaration) -> Estimate:
    """Return what is left to ask: jobs, and how many of their requests."""
    calls = [(job, call) for job, left in jobs for call in job.calls[len(job.calls) - left :]]
    characters = sum(call.characters for _, call in calls)
    seconds = sum(estimated_seconds(Script.parse(job.prompt.script)) / len(job.calls) for job, _ in calls)
    price = declaration.price
    amount = {"character": characters, "second": seconds}
    dollars = 0.0 if price is None else None if price.dollars is None else price.dollars * amount[price.unit]
    return Estimate(len(calls), characters, seconds, dollars)


def _job(prompt: Prompt, take: int, system: System, declaration: Declaration) -> Job:
    dialect = in_dialect(Script.parse(prompt.script), declaration)
    refused, message = _refused(dialect, declaration)
    calls = () if refused else tuple(system.calls(prompt.id, dialect.lines, take))
    limit, longest = declaration.limit_characters, max((call.characters for call in calls), default=0)
    if limit and longest > limit:
        refused, message, calls = (
            "too_long",
            f"{longest} characters in one request, the system takes {limit}",
            (),
        )
    return Job(prompt, take, dialect, calls, refused, message)


def _refused(dialect: Dialect, declaration: Declaration) -> tuple[str, str]:
    if not dialect.lines:
        return "nothing_to_say", f"the system has no words for any of it: {' '.join(dialect.dropped)}"
    voices = declaration.voices
    if voices and (missing := sorted({line.voice for line in dialect.lines} - voices.keys())):
        return "no_voice", f"no voice is declared for {', '.join(missing)}; give system.voices"
    return "", ""
