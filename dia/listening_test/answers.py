"""Read listeners' answers: report the problems of all files, and identify listeners who failed checks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dia.documents import read_json
from dia.errors import UserError
from dia.listening_test.key import KEY_FORMAT, upgrade_key

ANSWERS_FORMAT = "dia-listening-answers/2"
ANSWERS_FORMATS = (ANSWERS_FORMAT, "dia-listening-answers/1")  # format 1 named the choice `skipped` `unheard`
SIDES = ("left", "right")
SKIPPED = ("skipped", "unheard")
CHOICES = (*SIDES, "tie", *SKIPPED)


@dataclass(frozen=True)
class Vote:
    """One vote: ``outcome`` is 1 if the first system was preferred, -1 for the second, 0 for no difference.

    The systems of a pair are in alphabetical order; ``left_first`` states whether the first was on the left.
    """

    listener: str
    prompt_id: str
    first: str
    second: str
    outcome: int
    left_first: bool


@dataclass(frozen=True)
class ListenerAnswers:
    """One listener's file: votes, results of the attention checks, trials of the form, and skipped trials."""

    name: str
    path: str
    votes: list[Vote]
    checks: list[bool]
    trials: int
    skipped: int

    @property
    def answered(self) -> int:
        """The number of answers of any kind."""
        return len(self.votes) + len(self.checks) + self.skipped


@dataclass(frozen=True)
class CollectedAnswers:
    """The answers of all listeners, and of those who failed the attention checks."""

    question: str
    systems: dict[str, dict[str, Any]]
    listeners: list[ListenerAnswers]
    failed: list[ListenerAnswers]

    @property
    def votes(self) -> list[Vote]:
        """The votes of the listeners who passed."""
        return [vote for listener in self.listeners if listener not in self.failed for vote in listener.votes]


def read_answers(files: list[str], key_file: str, minimum_checks: float) -> CollectedAnswers:
    """Read answers and key; listeners with a lower share of correct checks than ``minimum_checks`` fail.

    Raises :class:`UserError` that lists the problems of all files.
    """
    key = _read_key(Path(key_file))
    problems: list[str] = []
    listeners = [answers for name in files if (answers := _read_listener(Path(name), key, problems))]
    problems += _repeated_listeners(listeners)
    if problems:
        raise UserError("cannot count the votes:\n" + "\n".join(f"  - {problem}" for problem in problems))
    failed = [
        listener for listener in listeners if sum(listener.checks) < minimum_checks * len(listener.checks)
    ]
    return CollectedAnswers(key["question"], key["systems"], listeners, failed)


def _read_key(path: Path) -> dict[str, Any]:
    key, problem = _read_json(path)
    if problem:
        raise UserError(problem)
    try:
        key = upgrade_key(key)
        if key.get("format") == KEY_FORMAT:
            _verify_key(key)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is a damaged key ({type(error).__name__}: {error}); copy it again"
        ) from error
    if key.get("format") != KEY_FORMAT:
        raise UserError(
            f"{path} is not the key of a listening test ({KEY_FORMAT}); "
            "give the PAGE.key.json beside the page"
        )
    return key


def _verify_key(key: dict[str, Any]) -> None:
    """Access everything that is read later, so that a damaged key is reported before counting."""
    for form in key["forms"]:
        for trial in form:
            for clip in key["trials"][trial]["clips"]:
                if (system := key["clips"][clip]["system"]) is not None:
                    key["systems"][system]["reference"]
            key["trials"][trial]["expected"], key["trials"][trial]["prompt_id"]
    str(key["test"]), str(key["question"])


def _read_json(path: Path) -> tuple[dict[str, Any], str]:
    """Return a file's JSON object, or the problem of the file."""
    try:
        content = read_json(path)
    except OSError as error:
        return {}, f"cannot read {path} ({error.strerror}); check the path"
    except ValueError as error:
        return {}, f"{path} is not JSON ({error}); request the file again"
    if not isinstance(content, dict):
        return {}, f"{path} is not a JSON object; request the file again"
    return content, ""


def _read_listener(path: Path, key: dict[str, Any], problems: list[str]) -> ListenerAnswers | None:
    content, problem = _read_json(path)
    problem = problem or _file_problem(content, path, key)
    if problem:
        problems.append(problem)
        return None
    form = key["forms"][content["form"]]
    answer_problems = list(_answer_problems(content["answers"], form, key))
    problems += [f"{path}: {problem}" for problem in answer_problems]
    if answer_problems:
        return None
    votes, checks = [], []
    rated = [answer for answer in content["answers"] if answer["choice"] not in SKIPPED]
    for answer in rated:
        trial = key["trials"][answer["trial"]]
        if trial["expected"] is None:
            votes.append(_vote(content["listener"], answer, trial, key))
        else:
            checks.append(answer["choice"] in SIDES and answer[answer["choice"]] == trial["expected"])
    skipped = len(content["answers"]) - len(rated)
    return ListenerAnswers(str(content["listener"]), str(path), votes, checks, len(form), skipped)


def _file_problem(content: dict[str, Any], path: Path, key: dict[str, Any]) -> str:
    """Return why a file does not hold answers to this test, else an empty text."""
    if content.get("format") not in ANSWERS_FORMATS:
        return f"{path} does not hold answers ({ANSWERS_FORMAT}); give the file that the page downloaded"
    if content.get("test") != key["test"]:
        return (
            f"{path} answers the test {content.get('test')!r}, the key belongs to {key['test']!r}; "
            "give the key of that test"
        )
    if type(content.get("form")) is not int or not 0 <= content["form"] < len(key["forms"]):
        return (
            f"{path}: form {content.get('form')!r} is not one of the {len(key['forms'])} forms of the test; "
            "request the file again"
        )
    if type(content.get("listener")) is not int or not isinstance(content.get("answers"), list):
        return f"{path} has no listener number or no list of answers; request the file again"
    return ""


def _answer_problems(answers: list[Any], form: list[str], key: dict[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for number, answer in enumerate(answers, start=1):
        trial = answer.get("trial") if isinstance(answer, dict) else None
        if trial not in form:
            yield f"answer {number} is to {trial!r}, which is not in this listener's form"
        elif trial in seen:
            yield f"answer {number} is to {trial}, which has an earlier answer"
        elif {answer.get("left"), answer.get("right")} != set(key["trials"][trial]["clips"]):
            yield f"answer {number} names clips that {trial} does not have"
        elif answer.get("choice") not in CHOICES:
            yield f"answer {number} has the choice {answer.get('choice')!r}; use one of {', '.join(CHOICES)}"
        else:
            seen.add(trial)


def _vote(listener: int, answer: dict[str, Any], trial: dict[str, Any], key: dict[str, Any]) -> Vote:
    left, right = (key["clips"][answer[side]]["system"] for side in SIDES)
    first, second = sorted((left, right))
    preferred = {"left": left, "right": right}.get(answer["choice"])
    outcome = 0 if preferred is None else 1 if preferred == first else -1
    return Vote(str(listener), trial["prompt_id"], first, second, outcome, left == first)


def _repeated_listeners(listeners: list[ListenerAnswers]) -> list[str]:
    by_name: dict[str, list[str]] = {}
    for listener in listeners:
        by_name.setdefault(listener.name, []).append(listener.path)
    return [
        f"listener {name} is in {len(paths)} files ({', '.join(paths)}); give one of them, "
        "or find out who shares the number"
        for name, paths in by_name.items()
        if len(paths) > 1
    ]
