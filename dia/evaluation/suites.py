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
    return suite_of(name, yaml.safe_load(resource(f"eval/suites/{name}.yaml").read_text(encoding="utf-8")))


def suite_of(name: str, content: object) -> Suite:
    """Return the suite that a file's ``content`` declares. Raises :class:`UserError` with all that is wrong at once."""
    if not isinstance(content, dict):
        raise UserError(f"eval/suites/{name}.yaml holds no keys; give split, prompts, seeds and shown")
    wanted = {field.name for field in fields(Suite)} - {"name"}
    problems = [f"lacks {key}" for key in sorted(wanted - content.keys())]
    problems += [f"has the unknown key {key}" for key in sorted(map(str, content.keys() - wanted))]
    for key, least in (("prompts", 1), ("seeds", 1), ("shown", 0)):
        value = content.get(key, least)
        if type(value) is not int or value < least:  # a bool is an int to isinstance
            problems.append(f"{key}={value!r} must be a whole number, {least} or more")
    if not isinstance(content.get("split", ""), str):
        problems.append(f"split={content['split']!r} must be a name, such as test")
    if problems:
        raise UserError(f"eval/suites/{name}.yaml " + "; ".join(problems))
    return Suite(name, **content)
