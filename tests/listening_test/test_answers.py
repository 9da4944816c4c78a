"""Answers as listeners send them, right and wrong, and the command that counts them."""

import json
import re

import pytest

from dia.config.listening_test import ListenConfig, VotesConfig
from dia.errors import UserError
from dia.listening_test.answers import read_answers
from dia.listening_test.commands import write_test
from tests.listening_test.runs import record
from tests.processes import run_door


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The key's path of a test of two systems on three prompts with two checks."""
    folder = tmp_path_factory.mktemp("made")
    prompts = ["p1", "p2", "p3"]
    runs = [
        str(record(folder / name, name, prompts, pitch, seconds=0.5))
        for name, pitch in (("a", 140), ("b", 200))
    ]
    config = ListenConfig(runs, str(folder / "page.html"), checks=2)
    write_test(config)
    return config.key


def answer(made, listener, choose):
    """Return the answers of one listener; ``choose`` maps (system left, system right) to a choice, None
    stands for noise.
    """
    key, page = json.loads(made.read_text()), made.with_name("page.html").read_text()
    forms = json.loads(re.search(r'id="test">(.*?)</script>', page, re.DOTALL).group(1))["forms"]
    number = (listener - 1) % len(forms)
    given = []
    for trial in forms[number]:
        sides = [key["sounds"][trial[side]]["system"] for side in ("left", "right")]
        shown = {"trial": trial["id"], "left": trial["left"], "right": trial["right"]}
        given.append(shown | {"choice": choose(*sides), "plays": [1, 1], "seconds": 3.0})
    named = {"format": "dia-listening-answers/1", "test": key["test"], "listener": listener, "form": number}
    return named | {"session": "s", "answers": given}


def prefers(system, otherwise="tie"):
    """A choice of ``system`` where it is heard; noise is never preferred."""

    def choose(left, right):
        if None in (left, right):
            return "left" if right is None else "right"
        return "left" if left == system else "right" if right == system else otherwise

    return choose


def save(folder, *answers):
    paths = [folder / f"answers-{number}.json" for number, _ in enumerate(answers)]
    for path, content in zip(paths, answers, strict=True):
        path.write_text(json.dumps(content))
    return list(map(str, paths))


def test_votes_are_counted_whichever_side_they_were_on(made, tmp_path):
    files = save(tmp_path, *(answer(made, number, prefers("a")) for number in (1, 2, 3)))
    found = read_answers(files, str(made), 1.0)
    assert len(found.votes) == 9 and {(vote.first, vote.second, vote.outcome) for vote in found.votes} == {
        ("a", "b", 1)
    }
    assert {vote.left_first for vote in found.votes} == {True, False} and not found.failed
    assert all(one.checks == [True, True] and one.answered == one.asked == 5 for one in found.listeners)


def test_who_prefers_noise_is_not_counted(made, tmp_path):
    files = save(
        tmp_path,
        answer(made, 1, prefers("b")),
        answer(made, 2, lambda left, right: "left"),
        answer(made, 3, lambda *_: "tie"),
    )
    found = read_answers(files, str(made), 0.75)
    assert [one.name for one in found.failed] == ["2", "3"] and {vote.listener for vote in found.votes} == {
        "1"
    }
    assert found.listeners[1].checks.count(True) == 1  # the good clip stands on either side once
    assert not read_answers(files, str(made), 0.0).failed


def test_what_was_not_heard_is_no_vote(made, tmp_path):
    (file,) = save(tmp_path, answer(made, 1, lambda *_: "unheard"))
    (listener,) = read_answers([file], str(made), 0.75).listeners
    assert (listener.unheard, listener.votes, listener.checks, listener.answered) == (5, [], [], 5)


def test_everything_that_is_wrong_is_told_at_once(made, tmp_path):
    good = answer(made, 1, prefers("a"))
    wrong = answer(made, 2, prefers("a"))
    wrong["answers"][0]["trial"] = "elsewhere"
    wrong["answers"][1]["choice"] = "both"
    wrong["answers"][2]["left"] = wrong["answers"][3]["left"]
    wrong["answers"] += [wrong["answers"][4], 7]
    others = [
        good | {"format": "x"},
        good | {"test": "other"},
        good | {"form": 99},
        good | {"answers": None},
        [1],
    ]
    files = save(tmp_path, good, good, wrong, *others)
    (tmp_path / "cut.json").write_text('{"format": "dia')
    with pytest.raises(UserError) as caught:
        read_answers([*files, str(tmp_path / "cut.json"), str(tmp_path / "gone.json")], str(made), 0.75)
    for part in (
        "listener 1 is in 2 files", "answer 1 is to 'elsewhere'", "answer 2 chooses 'both'", "answer 3 names sounds that",
        "answer 6 is to", "answer 7 is to None", "answers-3.json holds no answers", "answers the test 'other'", "form 99 is none",
        "lacks a listener's number or a list", "answers-7.json holds no JSON object", "cut.json is no JSON",
        "gone.json cannot be read",
    ):  # fmt: skip
        assert part in str(caught.value), (part, str(caught.value))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda key: key | {"format": "x"}, "is no key of a listening test"),
        (lambda key: {**key, "sounds": {}}, "is a damaged key"),
        (lambda key: {name: value for name, value in key.items() if name != "trials"}, "is a damaged key"),
    ],
)
def test_a_wrong_key_is_told(made, tmp_path, change, said):
    key = json.loads(made.read_text())
    (tmp_path / "key.json").write_text(json.dumps(change(key)))
    with pytest.raises(UserError, match=said):
        read_answers(save(tmp_path, answer(made, 1, prefers("a"))), str(tmp_path / "key.json"), 0.75)


def test_wrong_settings_are_told_at_once():
    problems = "; ".join(VotesConfig([], "", 2.0, "gone/x.json").problems())
    for part in ("name the files", "give key=", "checks=2.0", "gone/x.json is missing"):
        assert part in problems


def test_the_command_prints_and_writes_what_was_found(made, tmp_path):
    answers = [answer(made, number, prefers("a" if number < 4 else "b")) for number in range(1, 6)]
    files = save(tmp_path, *answers, answer(made, 6, lambda left, right: "tie"))
    command = ["votes", *map(str, files), f"key={made}", f"out={tmp_path}/votes.json"]
    done = run_door("eval", *command, cwd=tmp_path)
    assert done.returncode == 3 and "listeners 6 (0 of 2)" in done.stderr, done.stderr
    found = json.loads((tmp_path / "votes.json").read_text())
    assert found["win_matrix"] == {"a": {"a": 0, "b": 9}, "b": {"a": 6, "b": 0}} and found["votes"] == 15
    assert found["strengths"][0]["system"] == "a" and found["preferences"][0]["share"] == pytest.approx(0.6)
    assert found["preferences"][0]["votes_needed"] >= 194 and found["agreement"] is not None
    assert "Krippendorff" in done.stdout and "how often the row was preferred" in " ".join(
        done.stdout.split()
    )
    nothing = run_door("eval", "votes", "gone.json", cwd=tmp_path)
    assert nothing.returncode == 2 and "give key=" in nothing.stderr and "Traceback" not in nothing.stderr
