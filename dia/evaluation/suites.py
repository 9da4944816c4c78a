"""Suites: what is spoken and how often, declared in eval/suites/*.yaml."""

from dataclasses import dataclass, fields

import yaml

from dia.errors import UserError
from dia.resources import resource


@dataclass(frozen=True)
class Suite:
    """``prompts`` clips of a prepared ``split``, ``seeds`` takes of each; the report plays the first ``shown`` prompts."""

    name: str
    split: str
    prompts: int
    seeds: int
    shown: int


def load_suite(name: str) -> Suite:
    """Read a suite. Raises :class:`UserError` listing the suites for an unknown one, and all wrong keys at once."""
    known = sorted(path.stem for path in resource("eval/suites").glob("*.yaml"))
    if name not in known:
        raise UserError(f"there is no suite {name!r}; there are: {', '.join(known)}")
    content = yaml.safe_load(resource(f"eval/suites/{name}.yaml").read_text(encoding="utf-8"))
    wanted = {field.name for field in fields(Suite)} - {"name"}
    problems = [f"lacks {key}" for key in sorted(wanted - content.keys())]
    problems += [f"has the unknown key {key}" for key in sorted(content.keys() - wanted)]
    problems += [f"{key}={content[key]!r} must be 1 or more" for key in ("prompts", "seeds") if content.get(key, 1) < 1]
    if problems:
        raise UserError(f"eval/suites/{name}.yaml " + "; ".join(problems))
    return Suite(name, **content)
