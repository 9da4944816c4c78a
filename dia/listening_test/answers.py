"""Reading what listeners sent back: every problem of every file at once, and who did not pay attention."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dia.errors import UserError
from dia.listening_test.key import KEY_FORMAT

ANSWERS_FORMAT = "dia-listening-answers/1"
SIDES = ("left", "right")
CHOICES = (*SIDES, "tie", "unheard")


@dataclass(frozen=True)
class Vote:
    """One answer: ``outcome`` is 1 where the first system was preferred, -1 where the second was, 0 for no
    difference.

    The systems of a pair stand in alphabetical order; ``left_first`` says whether the first stood on the
    left.
    """

    listener: str
    prompt_id: str
    first: str
    second: str
    outcome: int
    left_first: bool


@dataclass(frozen=True)
class Listener:
    """What one listener's file holds: votes, answers to checks (right or wrong), trials of the form, and what
    was not heard.
    """

    name: str
    path: str
    votes: list[Vote]
    checks: list[bool]
    asked: int
    unheard: int

    @property
    def answered(self) -> int:
        """Answers, of whatever kind."""
        return len(self.votes) + len(self.checks) + self.unheard


@dataclass(frozen=True)
class Answers:
    """All listeners, and those of them who pass."""

    question: str
    systems: dict[str, dict[str, Any]]
    listeners: list[Listener]
    failed: list[Listener]

    @property
    def votes(self) -> list[Vote]:
        """The votes of listeners who pass."""
        return [vote for listener in self.listeners if listener not in self.failed for vote in listener.votes]


def read_answers(files: list[str], key_file: str, least_checks: float) -> Answers:
    """Read answers and the key. A listener with fewer right checks than the share ``least_checks`` fails.

    Raises :class:`UserError` with everything that is wrong in all files.
    """
    key = _read_key(Path(key_file))
    problems: list[str] = []
    listeners = [found for name in files if (found := _read_listener(Path(name), key, problems))]
    problems += _repeated(listeners)
    if problems:
        raise UserError("cannot count the votes:\n" + "\n".join(f"  - {problem}" for problem in problems))
    failed = [one for one in listeners if one.checks and sum(one.checks) < least_checks * len(one.checks)]
    return Answers(key["question"], key["systems"], listeners, failed)


def _read_key(path: Path) -> dict[str, Any]:
    key, wrong = _read_json(path)
    if wrong:
        raise UserError(wrong)
    if key.get("format") != KEY_FORMAT:
        raise UserError(
            f"{path} is no key of a listening test ({KEY_FORMAT}); give the PAGE.key.json that was written with the page"
        )
    try:
        _check_key(key)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is a damaged key ({type(error).__name__}: {error}); copy it again"
        ) from error
    return key


def _check_key(key: dict[str, Any]) -> None:
    """Touch whatever is read of a key, so that a damaged one is told here and not in the midst of
    counting.
    """
    forms, systems = key["forms"], key["systems"]
    for form in forms:
        for trial in form:
            for sound in key["trials"][trial]["sounds"]:
                if (system := key["sounds"][sound]["system"]) is not None:
                    systems[system]["reference"]
            key["trials"][trial]["better"], key["trials"][trial]["prompt_id"]
    str(key["test"]), str(key["question"])


def _read_json(path: Path) -> tuple[dict[str, Any], str]:
    """Return a file's object, or what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return {}, f"{path} cannot be read ({error.strerror}); check the path"
    except ValueError as error:
        return {}, f"{path} is no JSON ({error}); ask for the file again"
    return (
        (content, "")
        if isinstance(content, dict)
        else ({}, f"{path} holds no JSON object; ask for the file again")
    )


def _read_listener(path: Path, key: dict[str, Any], problems: list[str]) -> Listener | None:
    content, wrong = _read_json(path)
    wrong = wrong or _foreign(content, path, key)
    if wrong:
        problems.append(wrong)
        return None
    form = key["forms"][content["form"]]
    found = list(_problems_of(content["answers"], form, key))
    problems += [f"{path}: {problem}" for problem in found]
    if found:
        return None
    votes, checks = [], []
    heard = [answer for answer in content["answers"] if answer["choice"] != "unheard"]
    for answer in heard:
        trial = key["trials"][answer["trial"]]
        if trial["better"] is None:
            votes.append(_vote(content["listener"], answer, trial, key))
        else:
            checks.append(answer["choice"] in SIDES and answer[answer["choice"]] == trial["better"])
    return Listener(
        str(content["listener"]), str(path), votes, checks, len(form), len(content["answers"]) - len(heard)
    )


def _foreign(content: dict[str, Any], path: Path, key: dict[str, Any]) -> str:
    """Return why a file holds no answers of this test."""
    if content.get("format") != ANSWERS_FORMAT:
        return f"{path} holds no answers ({ANSWERS_FORMAT}); give what the page downloaded"
    if content.get("test") != key["test"]:
        return f"{path} answers the test {content.get('test')!r}, the key is of {key['test']!r}; give the key of that test"
    if type(content.get("form")) is not int or not 0 <= content["form"] < len(key["forms"]):
        return f"{path}: form {content.get('form')!r} is none of the {len(key['forms'])} forms of the test; ask for the file again"
    if type(content.get("listener")) is not int or not isinstance(content.get("answers"), list):
        return f"{path} lacks a listener's number or a list of answers; ask for the file again"
    return ""


def _problems_of(answers: list[Any], form: list[str], key: dict[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for number, answer in enumerate(answers, start=1):
        trial = answer.get("trial") if isinstance(answer, dict) else None
        if trial not in form:
            yield f"answer {number} is to {trial!r}, which is not in this listener's form"
        elif trial in seen:
            yield f"answer {number} is to {trial}, which was answered before"
        elif {answer.get("left"), answer.get("right")} != set(key["trials"][trial]["sounds"]):
            yield f"answer {number} names sounds that {trial} does not have"
        elif answer.get("choice") not in CHOICES:
            yield f"answer {number} chooses {answer.get('choice')!r}; there are {', '.join(CHOICES)}"
        else:
            seen.add(trial)


def _vote(listener: int, answer: dict[str, Any], trial: dict[str, Any], key: dict[str, Any]) -> Vote:
    left, right = (key["sounds"][answer[side]]["system"] for side in SIDES)
    first, second = sorted((left, right))
    preferred = {"left": left, "right": right}.get(answer["choice"])
    outcome = 0 if preferred is None else 1 if preferred == first else -1
    return Vote(str(listener), trial["prompt_id"], first, second, outcome, left == first)


def _repeated(listeners: list[Listener]) -> list[str]:
    by_name: dict[str, list[str]] = {}
    for one in listeners:
        by_name.setdefault(one.name, []).append(one.path)
    return [
        f"listener {name} is in {len(paths)} files ({', '.join(paths)}); keep one, or ask who shared the number"
        for name, paths in by_name.items()
        if len(paths) > 1
    ]
