"""Plan a recording: one job for each prompt and take, and the cost of the requests."""

from dataclasses import dataclass

from dia.dialogue import Script
from dia.dialogue.lint import estimated_seconds
from dia.evaluation.prompts import Prompt
from dia.systems.declaration import SystemDeclaration
from dia.systems.protocol import System, SystemRequest
from dia.systems.script_rendering import RenderedScript, render_script


@dataclass(frozen=True)
class TakeJob:
    """One take of one prompt. With an ``error_kind`` no request is sent, and ``message`` gives the reason."""

    prompt: Prompt
    take: int
    rendered: RenderedScript
    requests: tuple[SystemRequest, ...]
    error_kind: str = ""
    message: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """Prompt id and take."""
        return self.prompt.id, self.take


@dataclass(frozen=True)
class CostEstimate:
    """Expected cost of the requests. ``dollars`` is None when the price is unknown."""

    requests: int
    characters: int
    seconds: float
    dollars: float | None


def plan_takes(
    prompts: list[Prompt], takes: int, system: System, declaration: SystemDeclaration
) -> list[TakeJob]:
    """Return all jobs, take by take, so that an interrupted recording holds complete takes of all prompts."""
    return [_plan_take(prompt, take, system, declaration) for take in range(takes) for prompt in prompts]


def estimate_cost(jobs: list[tuple[TakeJob, int]], declaration: SystemDeclaration) -> CostEstimate:
    """Return the cost of the missing requests; each job comes with the number of them."""
    requests = [(job, request) for job, left in jobs for request in job.requests[len(job.requests) - left :]]
    characters = sum(request.characters for _, request in requests)
    seconds = sum(
        estimated_seconds(Script.parse(job.prompt.script)) / len(job.requests) for job, _ in requests
    )
    price = declaration.price
    if price is None:
        dollars: float | None = 0.0
    elif price.dollars is None:
        dollars = None
    else:
        dollars = price.dollars * {"character": characters, "second": seconds}[price.unit]
    return CostEstimate(len(requests), characters, seconds, dollars)


def _plan_take(prompt: Prompt, take: int, system: System, declaration: SystemDeclaration) -> TakeJob:
    rendered = render_script(Script.parse(prompt.script), declaration)
    kind, message = _reject(rendered, declaration)
    if kind:
        return TakeJob(prompt, take, rendered, (), kind, message)
    requests = tuple(system.build_requests(prompt.id, rendered.turns, take))
    limit, longest = declaration.limit_characters, max(request.characters for request in requests)
    if limit and longest > limit:
        message = f"a request has {longest} characters, the system accepts {limit}"
        return TakeJob(prompt, take, rendered, (), "too_long", message)
    return TakeJob(prompt, take, rendered, requests)


def _reject(rendered: RenderedScript, declaration: SystemDeclaration) -> tuple[str, str]:
    """Return the error kind and message of a script that cannot be requested, else two empty texts."""
    if not rendered.turns:
        return "nothing_to_say", f"the system can express none of the script: {' '.join(rendered.dropped)}"
    voices = declaration.voices
    if voices and (missing := sorted({turn.voice for turn in rendered.turns} - voices.keys())):
        return "no_voice", f"no voice is declared for {', '.join(missing)}; set system.voices"
    return "", ""
