"""Building a listening test: reading runs, preparing clips, balanced orders, and a blind page."""

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
from dia.listening_test.clip_audio import (
    SAMPLE_RATE,
    UnusableClip,
    clip_loudness,
    degrade,
    match_loudness,
    prepare_clip,
    trim_silence,
)
from dia.listening_test.commands import write_test
from dia.listening_test.design import Trial, build_forms, pairwise_trials, split_into_blocks
from dia.listening_test.read_runs import read_runs
from tests.listening_test.recorded_runs import hum, read_rows, record, write_rows
from tests.processes import run_door

PROMPTS = [f"prompt-{number}" for number in range(5)]


def test_the_first_take_is_used_even_if_it_failed(tmp_path):
    run = record(tmp_path / "run", "nano", PROMPTS[:2], takes=3)
    rows = read_rows(run)
    rows[0] |= {"error_kind": "timeout", "wav_path": None, "wav_sha256": None}
    write_rows(run, rows[::-1])
    (system,) = read_runs([str(run)])
    assert {name: (clip.take, clip.failure) for name, clip in system.clips.items()} == {
        "prompt-0": (0, "timeout"),
        "prompt-1": (0, ""),
    }


def test_rows_of_the_recorder_are_read(tmp_path):
    """Their script is part of the prompt, and success is an empty error kind."""
    run = record(tmp_path / "run", "nano", PROMPTS[:2], failures=PROMPTS[1:2])
    rows = [
        one | {"prompt": {"id": one["prompt_id"], "script": one["script"]}, "message": "too late"}
        for one in read_rows(run)
    ]
    for one in rows:
        del one["script"]
        one["error_kind"] = one["error_kind"] or ""
    write_rows(run, rows)
    (system,) = read_runs([str(run)])
    assert [clip.failure for clip in system.clips.values()] == ["", "timeout: too late"]
    assert system.clips["prompt-0"].script == "[S1] This is prompt-0. (laughs) [S2] So it is."


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('{"state": "recording"}', "is an incomplete recording"),
        ('{"outputs_sha256": "0"}', "differs from the manifest's"),
        ("[]", "is not a JSON object"),
        ("{", "is not JSON"),
        (None, "cannot read"),
    ],
)
def test_a_manifest_that_contradicts_the_rows_is_reported(tmp_path, manifest, message):
    run = record(tmp_path / "run", "nano", PROMPTS[:1])
    (run / "manifest.json").unlink()
    if manifest:
        (run / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match=message):
        read_runs([str(run)])


def test_two_runs_of_one_system_get_different_names(tmp_path):
    runs = [record(tmp_path / name, "nano", PROMPTS[:1]) for name in ("monday", "tuesday")]
    assert [one.name for one in read_runs(list(map(str, runs)))] == ["nano (monday)", "nano (tuesday)"]
    with pytest.raises(UserError, match="name each run once"):
        read_runs([str(runs[0])] * 2)


def test_all_problems_are_reported_at_once(tmp_path):
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
        read_runs([str(run), str(other), str(tmp_path)])
    for part in (
        "line 1: missing: script",
        "prompt-1-0.wav of prompt-1 is outside of the run",
        "gone.wav of prompt-2 is missing",
        "prompt-3-0.wav of prompt-3 is not the recorded file",
        "line 5: invalid: neither an error_kind nor a wav_path",
        "line 6: not JSON",
        "line 7: not a JSON object",
        "prompt prompt-1 has 2 scripts",
        f"{tmp_path} has no outputs.jsonl",
    ):
        assert part in str(caught.value), (part, str(caught.value))


def test_ends_are_trimmed_to_200_ms_and_pauses_inside_stay():
    loud = hum(1.0, rate=SAMPLE_RATE, silence=(0, 0)).astype(np.float32)
    pause = np.zeros(SAMPLE_RATE, dtype=np.float32)
    hiss = (1e-4 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)).astype(np.float32)
    trimmed = trim_silence(np.concatenate((hiss, loud, pause, loud, hiss, hiss)))
    assert len(trimmed) / SAMPLE_RATE == pytest.approx(3.4, abs=0.02)
    assert len(trim_silence(loud)) / SAMPLE_RATE == pytest.approx(1.0, abs=0.02)
    assert len(trim_silence(np.zeros(999, np.float32))) == len(trim_silence(np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("levels", [(0.02, 0.3), (0.003, 0.9)])
def test_clips_are_equally_loud_and_unclipped(levels):
    waveforms = {str(level): (hum(1.5, rate=SAMPLE_RATE, level=level)).astype(np.float32) for level in levels}
    matched = match_loudness(waveforms)
    assert [clip_loudness(waveform) for waveform in matched.values()] == pytest.approx([-23, -23], abs=0.05)
    spiky = waveforms | {
        "spiky": np.where(np.arange(36_000) % 9_000 == 0, 0.9, waveforms[str(levels[0])][:36_000]).astype(
            np.float32
        )
    }
    matched_levels = [clip_loudness(waveform) for waveform in match_loudness(spiky).values()]
    assert matched_levels == pytest.approx([matched_levels[0]] * 3, abs=0.05)
    assert max(np.abs(waveform).max() for waveform in match_loudness(spiky).values()) <= 0.971


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(48_000), "0.00 s of audio"),
        (hum(0.3, silence=(0, 0)), "too short"),
        (np.zeros(0), "no samples"),
    ],
)
def test_an_unusable_clip_has_a_reason(samples, message, tmp_path):
    soundfile.write(tmp_path / "x.wav", samples, 44_100)
    with pytest.raises(UnusableClip, match=message):
        prepare_clip(tmp_path / "x.wav")


def test_a_degraded_clip_is_half_noise():
    clean = hum(2, rate=SAMPLE_RATE, silence=(0, 0)).astype(np.float32)
    noise = degrade(clean, np.random.default_rng(0)) - clean
    assert 10 * np.log10(np.square(clean).mean() / np.square(noise).mean()) == pytest.approx(0, abs=0.2)


@given(st.integers(2, 4), st.integers(1, 9), st.integers(2, 12), st.integers(0, 2), st.integers(0, 999))
def test_orders_are_balanced(systems, prompts, size, checks, seed):
    rng, names = random.Random(seed), "abcd"[:systems]
    by_prompt = {f"p{number}": list(names) for number in range(prompts)}
    trials = pairwise_trials(by_prompt, rng)
    assert len(set(trials)) == len(trials) == prompts * systems * (systems - 1) // 2
    dealt = split_into_blocks(trials, size)
    assert sorted(len(block) for block in dealt)[-1] <= size and sum(map(len, dealt)) == len(trials)
    check_trials = [
        Trial(f"p{number}", "a", "degraded", check=True) for number in range(min(checks, prompts))
    ]
    forms = build_forms(dealt, check_trials, rng)
    for even, odd in zip(forms[::2], forms[1::2], strict=True):
        assert sorted(map(comparison_of, even)) == sorted(
            (trial, not swapped) for trial, swapped in map(comparison_of, odd)
        )
    for form in forms:
        check_balance(form)


def comparison_of(placed):
    trial, swapped = placed
    return (
        trial.prompt_id,
        min(trial.first, trial.second),
        max(trial.first, trial.second),
        trial.check,
    ), swapped != (trial.first > trial.second)


def check_balance(form):
    """Check that each system of a pair, and the original clip of a check, is on the left equally often."""
    on_left: Counter = Counter()
    for (_, first, second, check), swapped in map(comparison_of, form):
        on_left[first, second, check] += 1 if swapped else -1
    by_pair = [lead for (_, _, check), lead in on_left.items() if not check]
    assert all(abs(lead) <= 1 for lead in by_pair)
    assert abs(sum(lead for (_, _, check), lead in on_left.items() if check)) <= 1


def test_no_prompt_follows_itself():
    trials = pairwise_trials({f"p{number}": list("abc") for number in range(6)}, random.Random(0))
    for form in build_forms(split_into_blocks(trials, 30), [], random.Random(1)):
        order = [trial.prompt_id for trial, _ in form]
        assert sum(one == other for one, other in pairwise(order)) <= 2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A test of two systems and a reference, with one failed take: test, page, page's data and key."""
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
    test = write_test(config)
    html = (folder / "page.html").read_text()
    data = json.loads(re.search(r'id="test">(.*?)</script>', html, re.DOTALL).group(1))
    return test, html, data, json.loads(config.key.read_text())


def test_the_page_reveals_nothing(written):
    _, html, data, key = written
    without_audio = re.sub(r"data:audio/flac;base64,[A-Za-z0-9+/=]+", "", html)
    scripts = {line for form in data["forms"] for trial in form for line in trial["script"]}
    for line in scripts:
        without_audio = without_audio.replace(line, "")
    for secret in (
        "nano",
        "rival",
        "people",
        "outputs",
        "prompt-",
        "wav",
        'sha256"',
        "reference",
        "degraded",
        "expected",
        '"check',
    ):
        assert secret not in without_audio.replace(json.dumps(data["question"]), ""), secret
    assert data.keys() == {"test", "question", "forms", "clips"}
    assert all(trial.keys() == {"id", "left", "right", "script"} for form in data["forms"] for trial in form)
    assert list(data["clips"]) == sorted(data["clips"]) and all(
        re.fullmatch("[0-9a-f]{16}", name) for name in data["clips"]
    )
    assert key["systems"]["people"]["reference"] and not key["systems"]["nano"]["reference"]


def test_names_are_independent_of_systems_and_differ_every_time(written, tmp_path):
    _, _, _, key = written
    folders = [row["folder"] for row in key["systems"].values()]
    again = write_test(ListenConfig(folders[:2], str(tmp_path / "page.html"), folders[2]))
    assert not set(again.key["clips"]) & set(key["clips"]) and again.key["test"] != key["test"]
    assert not set(again.key["trials"]) & set(key["trials"])


def test_every_clip_is_mono_24_khz_at_one_loudness(written):
    test, _, data, key = written
    by_prompt: dict[str, list[float]] = {}
    for name, address in data["clips"].items():
        content = base64.b64decode(address.partition(",")[2])
        assert content == test.clips[name] and content[:4] == b"fLaC"
        waveform, rate = waveform_from_bytes(content)
        assert rate == SAMPLE_RATE and len(waveform) / rate == pytest.approx(1.6, abs=0.06)
        by_prompt.setdefault(key["clips"][name]["prompt_id"], []).append(clip_loudness(waveform))
    assert all(levels == pytest.approx([-23] * len(levels), abs=0.1) for levels in by_prompt.values())


def test_failures_are_excluded_and_named_and_checks_are_hidden_among_the_trials(written):
    test, _, data, key = written
    assert test.excluded == ["prompt-1 of rival: timeout"] and key["systems"]["rival"]["failures"] == 1
    checks = [trial for trial in key["trials"].values() if trial["expected"]]
    assert len(checks) == 2 and len(key["trials"]) == 4 * 3 + 1 + 2
    for trial in checks:
        assert [key["clips"][name]["system"] for name in trial["clips"]].count(None) == 1
        assert key["clips"][trial["expected"]]["system"] is not None
    assert all(len(form) == 15 for form in data["forms"]) and len(data["forms"]) == 4


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"folders": []}, ["two or more run folders"]),
        (
            {"out": "gone/page.txt", "trials": 1, "checks": -1},
            ["end in .html", "gone/page.txt is missing", "trials=1", "checks=-1"],
        ),
    ],
)
def test_wrong_settings_are_reported_at_once(change, messages):
    problems = "; ".join(ListenConfig(**({"folders": ["a", "b"]} | change)).problems())
    for part in messages:
        assert part in problems, problems


def test_an_unknown_place_of_the_audio_is_rejected():
    with pytest.raises(ValueError, match="audio=loud is unknown; choose one of inside, beside"):
        ListenConfig(["a", "b"], audio="loud")


def test_no_pair_is_an_error_with_the_reasons(tmp_path):
    runs = [
        record(tmp_path / name, name, PROMPTS[:1], failures=PROMPTS[:1] if name == "b" else ())
        for name in "ab"
    ]
    with pytest.raises(UserError, match=r"no prompt has two clips to compare:\n  - prompt-0 of b: timeout"):
        write_test(ListenConfig(list(map(str, runs)), str(tmp_path / "page.html")))
    assert not (tmp_path / "page.html").exists()


def test_the_command_takes_folders_as_arguments_and_overwrites_nothing(tmp_path):
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
