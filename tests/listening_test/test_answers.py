"""Answers of listeners, valid and invalid, and the command that counts them."""

import json
import re

import pytest

from dia.config.listening_test import ListenConfig, VotesConfig
from dia.errors import UserError
from dia.listening_test.answers import read_answers
from dia.listening_test.commands import write_test
from tests.listening_test.recorded_runs import record
from tests.processes import run_door


@pytest.fixture(scope="module")
def key_path(tmp_path_factory):
    """Write a test of two systems on three prompts with two checks; return the path of its key."""
    folder = tmp_path_factory.mktemp("test")
    prompts = ["p1", "p2", "p3"]
    runs = [
        str(record(folder / name, name, prompts, pitch, seconds=0.5))
        for name, pitch in (("a", 140), ("b", 200))
    ]
    config = ListenConfig(runs, str(folder / "page.html"), checks=2)
    write_test(config)
    return config.key


def answer(key_path, listener, choose):
    """Return a listener's answers; ``choose`` maps the systems (None: degraded) to a choice."""
    key, page = json.loads(key_path.read_text()), key_path.with_name("page.html").read_text()
    forms = json.loads(re.search(r'id="test">(.*?)</script>', page, re.DOTALL).group(1))["forms"]
    number = (listener - 1) % len(forms)
    given = []
    for trial in forms[number]:
        sides = [key["clips"][trial[side]]["system"] for side in ("left", "right")]
        shown = {"trial": trial["id"], "left": trial["left"], "right": trial["right"]}
        given.append(shown | {"choice": choose(*sides), "plays": [1, 1], "seconds": 3.0})
    header = {"format": "dia-listening-answers/2", "test": key["test"], "listener": listener, "form": number}
    return header | {"session": "s", "answers": given}


def prefers(system, otherwise="tie"):
    """Return a function that chooses ``system`` where it is present, and never a degraded clip."""

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


def test_votes_are_counted_on_either_side(key_path, tmp_path):
    files = save(tmp_path, *(answer(key_path, number, prefers("a")) for number in (1, 2, 3)))
    results = read_answers(files, str(key_path), 1.0)
    assert len(results.votes) == 9 and {
        (vote.first, vote.second, vote.outcome) for vote in results.votes
    } == {("a", "b", 1)}
    assert {vote.left_first for vote in results.votes} == {True, False} and not results.failed
    assert all(one.checks == [True, True] and one.answered == one.trials == 5 for one in results.listeners)


def test_listeners_who_prefer_noise_are_not_counted(key_path, tmp_path):
    files = save(
        tmp_path,
        answer(key_path, 1, prefers("b")),
        answer(key_path, 2, lambda left, right: "left"),
        answer(key_path, 3, lambda *_: "tie"),
    )
    results = read_answers(files, str(key_path), 0.75)
    assert [one.name for one in results.failed] == ["2", "3"] and {
        vote.listener for vote in results.votes
    } == {"1"}
    assert results.listeners[1].checks.count(True) == 1  # the original clip is on each side once
    assert not read_answers(files, str(key_path), 0.0).failed


@pytest.mark.parametrize("choice", ["skipped", "unheard"])
def test_a_skipped_trial_is_not_a_vote(key_path, tmp_path, choice):
    (file,) = save(tmp_path, answer(key_path, 1, lambda *_: choice))
    (listener,) = read_answers([file], str(key_path), 0.75).listeners
    assert (listener.skipped, listener.votes, listener.checks, listener.answered) == (5, [], [], 5)


def test_all_problems_are_reported_at_once(key_path, tmp_path):
    good = answer(key_path, 1, prefers("a"))
    wrong = answer(key_path, 2, prefers("a"))
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
        read_answers([*files, str(tmp_path / "cut.json"), str(tmp_path / "gone.json")], str(key_path), 0.75)
    for part in (
        "listener 1 is in 2 files",
        "answer 1 is to 'elsewhere'",
        "answer 2 has the choice 'both'",
        "answer 3 names clips that",
        "answer 6 is to",
        "answer 7 is to None",
        "answers-3.json does not hold answers",
        "answers the test 'other'",
        "form 99 is not one",
        "has no listener number or no list",
        "answers-7.json is not a JSON object",
        "cut.json is not JSON",
        "gone.json (No such file",
    ):
        assert part in str(caught.value), (part, str(caught.value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: key | {"format": "x"}, "is not the key of a listening test"),
        (lambda key: {**key, "clips": {}}, "is a damaged key"),
        (lambda key: {name: value for name, value in key.items() if name != "trials"}, "is a damaged key"),
    ],
)
def test_a_wrong_key_is_reported(key_path, tmp_path, change, message):
    key = json.loads(key_path.read_text())
    (tmp_path / "key.json").write_text(json.dumps(change(key)))
    with pytest.raises(UserError, match=message):
        read_answers(save(tmp_path, answer(key_path, 1, prefers("a"))), str(tmp_path / "key.json"), 0.75)


def test_files_of_format_1_are_read(key_path, tmp_path):
    current = json.loads(key_path.read_text())
    names = {"clips": "sounds", "degraded": "spoilt", "expected": "better"}

    def rename(content):
        return {names.get(name, name): value for name, value in content.items()}

    old = rename(current) | {"format": "dia-listening-key/1"}
    for part in ("sounds", "trials"):
        old[part] = {name: rename(content) for name, content in old[part].items()}
    (tmp_path / "old.key.json").write_text(json.dumps(old))
    answers = [answer(key_path, number, prefers("a")) for number in (1, 2)]
    now = read_answers(save(tmp_path, *answers), str(key_path), 1.0)
    for content in answers:
        content["format"] = "dia-listening-answers/1"
    assert read_answers(save(tmp_path, *answers), str(tmp_path / "old.key.json"), 1.0) == now
    assert len(now.votes) == 6 and not now.failed
    with pytest.raises(UserError, match="is a damaged key"):
        (tmp_path / "old.key.json").write_text(json.dumps({**old, "sounds": {}}))
        read_answers(save(tmp_path, *answers), str(tmp_path / "old.key.json"), 1.0)


def test_wrong_settings_are_reported_at_once():
    problems = "; ".join(VotesConfig([], "", 2.0, "gone/x.json").problems())
    for part in ("name the files", "give key=", "checks=2.0", "gone/x.json is missing"):
        assert part in problems


def test_the_command_prints_and_writes_the_results(key_path, tmp_path):
    answers = [answer(key_path, number, prefers("a" if number < 4 else "b")) for number in range(1, 6)]
    files = save(tmp_path, *answers, answer(key_path, 6, lambda left, right: "tie"))
    done = run_door("eval", "votes", *files, f"key={key_path}", f"out={tmp_path}/votes.json", cwd=tmp_path)
    assert done.returncode == 3 and "listeners 6 (0 of 2)" in done.stderr, done.stderr
    results = json.loads((tmp_path / "votes.json").read_text())
    assert results["win_matrix"] == {"a": {"a": 0, "b": 9}, "b": {"a": 6, "b": 0}} and results["votes"] == 15
    assert results["strengths"][0]["system"] == "a" and results["preferences"][0]["share"] == pytest.approx(
        0.6
    )
    assert results["preferences"][0]["votes_needed"] >= 194 and results["agreement"] is not None
    assert "Krippendorff" in done.stdout and "how often the row was preferred" in " ".join(
        done.stdout.split()
    )
    nothing = run_door("eval", "votes", "gone.json", cwd=tmp_path)
    assert nothing.returncode == 2 and "give key=" in nothing.stderr and "Traceback" not in nothing.stderr
