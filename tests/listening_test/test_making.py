"""From recorded systems to a page: what is read, how it is made comparable, who hears what, and what the page
gives away.
"""

import base64
import json
import random
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.files import waveform_from_bytes
from dia.config.listening_test import ListenConfig
from dia.errors import UserError
from dia.listening_test.commands import write_test
from dia.listening_test.design import Trial, blocks, comparisons, forms
from dia.listening_test.recorded import read_systems
from dia.listening_test.sound import SAMPLE_RATE, NotComparable, loudness, match, prepare_clip, spoil, trim
from tests.listening_test.runs import hum, read_rows, record, write_rows
from tests.processes import run_door

PROMPTS = [f"prompt-{number}" for number in range(5)]


def test_the_first_take_is_heard_whatever_it_became(tmp_path):
    run = record(tmp_path / "run", "nano", PROMPTS[:2], takes=3)
    rows = read_rows(run)
    rows[0] |= {"error_kind": "timeout", "wav_path": None, "wav_sha256": None}
    write_rows(run, rows[::-1])
    (system,) = read_systems([str(run)])
    assert {name: (clip.take, clip.failure) for name, clip in system.clips.items()} == {
        "prompt-0": (0, "timeout"), "prompt-1": (0, ""),
    }  # fmt: skip


def test_rows_of_the_recorder_are_read_too(tmp_path):
    """There the script is part of the prompt, and no error is an empty text."""
    run = record(tmp_path / "run", "nano", PROMPTS[:2], failures=PROMPTS[1:2])
    rows = [
        one | {"prompt": {"id": one["prompt_id"], "script": one["script"]}, "message": "too late"}
        for one in read_rows(run)
    ]
    for one in rows:
        del one["script"]
        one["error_kind"] = one["error_kind"] or ""
    write_rows(run, rows)
    (system,) = read_systems([str(run)])
    assert [clip.failure for clip in system.clips.values()] == ["", "timeout: too late"]
    assert system.clips["prompt-0"].script == "[S1] This is prompt-0. (laughs) [S2] So it is."


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ('{"state": "recording"}', "not a whole recording"), ('{"outputs_sha256": "0"}', "not what the manifest tells of"),
        ("[]", "holds no JSON object"), ("{", "is no JSON"), (None, "cannot be read"),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_the_rows_is_told(tmp_path, manifest, said):
    run = record(tmp_path / "run", "nano", PROMPTS[:1])
    (run / "manifest.json").unlink()
    if manifest:
        (run / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match=said):
        read_systems([str(run)])


def test_two_runs_of_one_system_are_told_apart(tmp_path):
    runs = [record(tmp_path / name, "nano", PROMPTS[:1]) for name in ("monday", "tuesday")]
    assert [one.name for one in read_systems(list(map(str, runs)))] == ["nano (monday)", "nano (tuesday)"]
    with pytest.raises(UserError, match="name each once"):
        read_systems([str(runs[0])] * 2)


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    run, other = record(tmp_path / "run", "nano", PROMPTS), record(tmp_path / "other", "rival", PROMPTS)
    rows = read_rows(run)
    del rows[0]["script"]
    rows[1]["wav_path"] = "../other/wav/prompt-1-0.wav"
    rows[2]["wav_path"] = "wav/gone.wav"
    soundfile.write(run / "wav" / "prompt-3-0.wav", hum(pitch=99), 44_100)
    rows[4]["wav_sha256"] = None
    write_rows(run, rows)
    with (run / "outputs.jsonl").open("a") as file:
        file.write("{half a row\n[1]\n")
    changed = read_rows(other)
    changed[1]["script"] = "[S1] Something else."
    write_rows(other, changed)
    with pytest.raises(UserError) as caught:
        read_systems([str(run), str(other), str(tmp_path)])
    for part in (
        "line 1: lacks script", "prompt-1-0.wav of prompt-1 lies outside the run", "gone.wav of prompt-2 is missing",
        "prompt-3-0.wav of prompt-3 is not what was recorded", "line 5: wrong: neither an error_kind nor a wav_path",
        "line 6: no JSON", "line 7: no JSON object", "prompt prompt-1 has 2 scripts", f"{tmp_path} has no outputs.jsonl",
    ):  # fmt: skip
        assert part in str(caught.value), (part, str(caught.value))


def test_ends_are_trimmed_to_200_ms_and_pauses_inside_stay():
    loud = hum(1.0, rate=SAMPLE_RATE, silence=(0, 0)).astype(np.float32)
    pause = np.zeros(SAMPLE_RATE, dtype=np.float32)
    hiss = (1e-4 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)).astype(np.float32)
    found = trim(np.concatenate((hiss, loud, pause, loud, hiss, hiss)))
    assert len(found) / SAMPLE_RATE == pytest.approx(3.4, abs=0.02)
    assert len(trim(loud)) / SAMPLE_RATE == pytest.approx(1.0, abs=0.02)
    assert len(trim(np.zeros(999, np.float32))) == len(trim(np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("levels", [(0.02, 0.3), (0.003, 0.9)])
def test_rivals_are_equally_loud_and_unclipped(levels):
    waveforms = {str(level): (hum(1.5, rate=SAMPLE_RATE, level=level)).astype(np.float32) for level in levels}
    made = match(waveforms)
    assert [loudness(wave) for wave in made.values()] == pytest.approx([-23, -23], abs=0.05)
    spiky = waveforms | {
        "spiky": np.where(np.arange(36_000) % 9_000 == 0, 0.9, waveforms[str(levels[0])][:36_000]).astype(
            np.float32
        )
    }
    levels_found = [loudness(wave) for wave in match(spiky).values()]
    assert levels_found == pytest.approx([levels_found[0]] * 3, abs=0.05)
    assert max(np.abs(wave).max() for wave in match(spiky).values()) <= 0.971


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(48_000), "0.00 s of sound"),
        (hum(0.3, silence=(0, 0)), "too short"),
        (np.zeros(0), "no samples"),
    ],
)
def test_what_cannot_be_compared_has_a_reason(samples, said, tmp_path):
    soundfile.write(tmp_path / "x.wav", samples, 44_100)
    with pytest.raises(NotComparable, match=said):
        prepare_clip(tmp_path / "x.wav")


def test_a_spoilt_clip_is_half_noise():
    clean = hum(2, rate=SAMPLE_RATE, silence=(0, 0)).astype(np.float32)
    noise = spoil(clean, np.random.default_rng(0)) - clean
    assert 10 * np.log10(np.square(clean).mean() / np.square(noise).mean()) == pytest.approx(0, abs=0.2)


@given(st.integers(2, 4), st.integers(1, 9), st.integers(2, 12), st.integers(0, 2), st.integers(0, 999))
def test_orders_are_balanced(systems, prompts, size, checks, seed):
    source, names = random.Random(seed), "abcd"[:systems]
    heard = {f"p{number}": list(names) for number in range(prompts)}
    made = comparisons(heard, source)
    assert len(set(made)) == len(made) == prompts * systems * (systems - 1) // 2
    dealt = blocks(made, size)
    assert sorted(len(block) for block in dealt)[-1] <= size and sum(map(len, dealt)) == len(made)
    asked = [Trial(f"p{number}", "a", "spoilt", check=True) for number in range(min(checks, prompts))]
    laid = forms(dealt, asked, source)
    for even, odd in zip(laid[::2], laid[1::2], strict=True):
        assert sorted(map(key_of, even)) == sorted(
            (trial, not swapped) for trial, swapped in map(key_of, odd)
        )
    for form in laid:
        check_balance(form)


def key_of(placed):
    trial, swapped = placed
    return (
        trial.prompt_id,
        min(trial.first, trial.second),
        max(trial.first, trial.second),
        trial.check,
    ), swapped != (trial.first > trial.second)


def check_balance(form):
    """Within a form either system of a pair is on the left as often as the other, give or take one, and so is
    the good clip.
    """
    on_left: Counter = Counter()
    for (_, first, second, check), swapped in map(key_of, form):
        on_left[first, second, check] += 1 if swapped else -1
    by_pair = [lead for (_, _, check), lead in on_left.items() if not check]
    assert all(abs(lead) <= 1 for lead in by_pair)
    assert abs(sum(lead for (_, _, check), lead in on_left.items() if check)) <= 1


def test_one_prompt_is_not_heard_twice_in_a_row():
    made = comparisons({f"p{number}": list("abc") for number in range(6)}, random.Random(0))
    for form in forms(blocks(made, 30), [], random.Random(1)):
        heard = [trial.prompt_id for trial, _ in form]
        assert sum(one == other for one, other in pairwise(heard)) <= 2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A test of two systems and a reference, of which one failed once; the page's data and the key."""
    folder = tmp_path_factory.mktemp("written")
    runs = [
        record(folder / "outputs" / name, name, PROMPTS, pitch, failed, level=level)
        for name, pitch, failed, level in (
            ("nano", 140, (), 0.3),
            ("rival", 200, PROMPTS[1:2], 0.02),
            ("people", 100, (), 0.1),
        )
    ]
    config = ListenConfig([str(run) for run in runs[:2]], str(folder / "page.html"), str(runs[2]))
    page = write_test(config)
    html = (folder / "page.html").read_text()
    data = json.loads(re.search(r'id="test">(.*?)</script>', html, re.DOTALL).group(1))
    return page, html, data, json.loads(config.key.read_text())


def test_the_page_gives_nothing_away(written):
    _, html, data, key = written
    without_sounds = re.sub(r"data:audio/flac;base64,[A-Za-z0-9+/=]+", "", html)
    scripts = {line for form in data["forms"] for trial in form for line in trial["script"]}
    for line in scripts:
        without_sounds = without_sounds.replace(line, "")
    for secret in (
        "nano",
        "rival",
        "people",
        "outputs",
        "prompt-",
        "wav",
        'sha256"',
        "reference",
        "spoilt",
        "better",
        '"check',
    ):
        assert secret not in without_sounds.replace(json.dumps(data["question"]), ""), secret
    assert data.keys() == {"test", "question", "forms", "sounds"}
    assert all(trial.keys() == {"id", "left", "right", "script"} for form in data["forms"] for trial in form)
    assert list(data["sounds"]) == sorted(data["sounds"]) and all(
        re.fullmatch("[0-9a-f]{16}", name) for name in data["sounds"]
    )
    assert key["systems"]["people"]["reference"] and not key["systems"]["nano"]["reference"]


def test_names_say_nothing_of_systems_and_differ_every_time(written, tmp_path):
    _, _, _, key = written
    folders = [row["folder"] for row in key["systems"].values()]
    again = write_test(ListenConfig(folders[:2], str(tmp_path / "page.html"), folders[2]))
    assert not set(again.key["sounds"]) & set(key["sounds"]) and again.key["test"] != key["test"]
    assert not set(again.key["trials"]) & set(key["trials"])


def test_every_sound_is_mono_24_khz_at_one_loudness(written):
    page, _, data, key = written
    by_prompt: dict[str, list[float]] = {}
    for name, address in data["sounds"].items():
        content = base64.b64decode(address.partition(",")[2])
        assert content == page.sounds[name] and content[:4] == b"fLaC"
        wave, rate = waveform_from_bytes(content)
        assert rate == SAMPLE_RATE and len(wave) / rate == pytest.approx(1.6, abs=0.06)
        by_prompt.setdefault(key["sounds"][name]["prompt_id"], []).append(loudness(wave))
    assert all(found == pytest.approx([-23] * len(found), abs=0.1) for found in by_prompt.values())


def test_failures_are_left_out_and_named_and_checks_are_hidden_among_the_rest(written):
    page, _, data, key = written
    assert page.left_out == ["prompt-1 of rival: timeout"] and key["systems"]["rival"]["failures"] == 1
    checks = [trial for trial in key["trials"].values() if trial["better"]]
    assert len(checks) == 2 and len(key["trials"]) == 4 * 3 + 1 + 2
    for trial in checks:
        assert [key["sounds"][name]["system"] for name in trial["sounds"]].count(None) == 1
        assert key["sounds"][trial["better"]]["system"] is not None
    assert all(len(form) == 15 for form in data["forms"]) and len(data["forms"]) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folders": []}, ["two or more run folders"]),
        ({"out": "gone/page.txt", "trials": 1, "checks": -1, "sounds": "loud"},
         ["end in .html", "gone/page.txt is missing", "trials=1", "checks=-1", "sounds=loud"]),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_at_once(change, said):
    problems = "; ".join(ListenConfig(**({"folders": ["a", "b"]} | change)).problems())
    for part in said:
        assert part in problems, problems


def test_no_pair_is_an_error_with_the_reasons(tmp_path):
    runs = [
        record(tmp_path / name, name, PROMPTS[:1], failures=PROMPTS[:1] if name == "b" else ())
        for name in "ab"
    ]
    with pytest.raises(UserError, match=r"no prompt has two sounds to compare:\n  - prompt-0 of b: timeout"):
        write_test(ListenConfig(list(map(str, runs)), str(tmp_path / "page.html")))
    assert not (tmp_path / "page.html").exists()


def test_the_command_takes_folders_as_words_and_overwrites_nothing(tmp_path):
    runs = [record(tmp_path / "some, [runs] = x" / name, name, PROMPTS[:2]) for name in "ab"]
    command = ["listen", *(str(run.relative_to(tmp_path)) for run in runs), "checks=0"]
    done = run_door("eval", *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "listen.html: 2 comparisons in 4 forms" in done.stdout and (tmp_path / "listen.key.json").is_file()
    again = run_door("eval", *command, cwd=tmp_path)
    assert (
        again.returncode == 2
        and "listen.html exists" in again.stderr
        and "listen.key.json exists" in again.stderr
    )
    assert "Traceback" not in again.stderr
