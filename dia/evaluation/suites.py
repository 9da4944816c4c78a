"""Suites: which prompts are generated and how often, declared in eval/suites/*.yaml.

A suite is a set of prompts, or a list of other suites.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from dia.errors import UserError
from dia.evaluation.generation_protocols import GenerationProtocol, protocol_problems, protocols_of
from dia.resources import resource

VERSIONS = ("", "tags", "arousal")
LISTS = {"without": "metrics", "primary": "scores"}  # keys whose values are lists
PRIMARY = ("wer", "failed", "mos", "turn_accuracy_own", "net_tag_effect")  # of prompts of one's own


@dataclass(frozen=True)
class Suite:
    """The first ``prompts`` (0: all) of a ``file`` (eval/prompts/FILE.jsonl, or a path) or of a ``split``.

    ``seeds`` is the number of takes per prompt; the report plays ``shown`` prompts. ``versions``
    generates the clips of a split with their tag, without, with another (`tags`), or with high and with low
    arousal (`arousal`). ``without`` names metrics that are skipped to save time. ``primary`` names the few
    scores that decide between systems; without it the headline scores do. ``protocols`` are ways of
    generating that are compared with each other: each is a system of its own. With ``voice_prompts`` each
    clip of a split is spoken after another clip of its voices; clips without such another are left out.
    """

    name: str
    prompts: int
    seeds: int
    shown: int
    split: str = ""
    file: str = ""
    versions: str = ""
    without: tuple[str, ...] = ()
    primary: tuple[str, ...] = ()
    protocols: tuple[GenerationProtocol, ...] = ()
    voice_prompts: bool = False

    def limited(self, prompts: int, seeds: int) -> "Suite":
        """Return the suite with at most ``prompts`` prompts and with ``seeds`` takes; 0 changes neither."""
        limit = min(prompts, self.prompts or prompts) if prompts else self.prompts
        return replace(self, prompts=limit, seeds=seeds or self.seeds)


def suite_names() -> list[str]:
    """Return the names of all suites."""
    return sorted(path.stem for path in resource("eval/suites").glob("*.yaml"))


def load_suites(name: str) -> list[Suite]:
    """Return the suites of a name; the path of a JSONL file is a suite of its prompts, three takes of each.

    Raises :class:`UserError` with the known suites, or with all problems of the file at once.
    """
    if name.endswith(".jsonl"):
        return [Suite(Path(name).stem, prompts=0, seeds=3, shown=4, file=name, primary=PRIMARY)]
    known = suite_names()
    if name not in known:
        raise UserError(f"there is no suite {name!r}; known suites: {', '.join(known)}")
    content = yaml.safe_load(resource(f"eval/suites/{name}.yaml").read_text(encoding="utf-8"))
    if isinstance(content, dict) and content.keys() == {"suites"}:
        return [suite for part in content["suites"] for suite in load_suites(str(part))]
    return [suite_of(name, content)]


def suite_of(name: str, content: object) -> Suite:
    """Return the suite of a file's ``content``. Raises :class:`UserError` with all problems at once."""
    if not isinstance(content, dict):
        raise UserError(
            f"eval/suites/{name}.yaml has no keys; give split or file, prompts, seeds and shown; or suites"
        )
    if problems := _problems(content):
        raise UserError(f"eval/suites/{name}.yaml " + "; ".join(problems))
    lists = {key: tuple(content.get(key, ())) for key in LISTS}
    protocols = protocols_of(content.get("protocols", {}))
    return Suite(name, **content | lists | {"protocols": protocols})


def _problems(content: dict[Any, Any]) -> list[str]:
    known = {field.name for field in fields(Suite)} - {"name"}
    problems = [f"lacks {key}" for key in ("prompts", "seeds", "shown") if key not in content]
    problems += [f"has the unknown key {key}" for key in sorted(map(str, content.keys() - known))]
    for key, least in (("prompts", 0), ("seeds", 1), ("shown", 0)):
        value = content.get(key, least)
        if type(value) is not int or value < least:  # a bool is an int to isinstance
            problems.append(f"{key}={value!r} must be a whole number, {least} or more")
    problems += [
        f"{key}={content[key]!r} must be a name"
        for key in ("split", "file")
        if not isinstance(content.get(key, ""), str)
    ]
    for key, what in LISTS.items():
        value = content.get(key, [])
        if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            problems.append(f"{key}={value!r} must be a list of {what}")
    problems += protocol_problems(content.get("protocols", {}))
    if bool(content.get("split")) == bool(content.get("file")):
        problems.append(
            "must have either split (of the prepared data, such as test) or file (of eval/prompts), not both"
        )
    if content.get("versions", "") not in VERSIONS:
        problems.append(f"versions={content['versions']!r} is unknown; choose tags or arousal")
    elif content.get("voice_prompts") and content.get("file"):
        problems.append("has voice_prompts, which apply to a split only; the prompts of a file name theirs")
    elif content.get("versions") and content.get("file"):
        problems.append("has versions, which apply to a split only; the prompts of a file declare their own")
    return problems
