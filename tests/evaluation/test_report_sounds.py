"""The sounds of a report: prompts that show the difference, every system, and times over spectrograms."""

import re
from dataclasses import replace

import numpy as np
import pytest

from dia.dialogue import Script
from dia.evaluation.cache import ContentCache
from dia.evaluation.clip_times import timeline
from dia.evaluation.metrics.protocol import ClipScore, Context
from dia.evaluation.plots import distributions, heat_map, png_url
from dia.evaluation.prompts import Prompt
from dia.evaluation.report import render_report
from dia.evaluation.scoring import ScoredClip
from dia.evaluation.shown_prompts import RANDOM, choose_prompts
from dia.evaluation.verdicts import main_verdict
from dia.judges.recording import Recording
from tests.evaluation.loudness import prompt, results_of, system_of

SCRIPT = "[S1] Hello there. (laughs) [S2] Good morning."


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path)


def suite_of(cache, first, second, shown=4, failures=()):
    results = results_of(system_of("model", first, cache, failures), system_of("baseline", second, cache))
    return replace(results.suites[0], suite=replace(results.suites[0].suite, shown=shown)), results


def test_half_of_the_prompts_have_the_largest_differences_and_the_others_are_random(cache):
    levels = np.full(12, 0.2)
    changed = levels + np.array([0, 0, 0.3, 0.01, 0, 0, 0.02, 0.2, 0, 0.01, 0, 0])
    result, _ = suite_of(cache, changed, levels)
    chosen = choose_prompts(result, main_verdict(result))
    assert [item.prompt.id for item in chosen[:2]] == ["p2", "p7"]
    assert chosen[0].reason == "A large difference in loudness: model 0.5, baseline 0.2."
    assert [item.reason for item in chosen[2:]] == [RANDOM, RANDOM]
    assert len({item.prompt.id for item in chosen}) == 4
    assert chosen == choose_prompts(result, main_verdict(result))  # the same draws again


@pytest.mark.parametrize("shown", [0, 1, 3, 50])
def test_as_many_prompts_are_shown_as_the_suite_says_and_has(cache, shown):
    result, _ = suite_of(cache, [0.2, 0.3, 0.4], [0.3, 0.3, 0.1], shown)
    assert len(choose_prompts(result, main_verdict(result))) == min(shown, 3)
    assert all(item.reason == RANDOM for item in choose_prompts(result, None))


def test_a_system_without_a_take_is_shown_without_one(cache):
    result, results = suite_of(cache, [0.2, 0.3], [0.2, 0.3, 0.4], failures=[(prompt(2), "left out")])
    page = render_report(replace(results, suites=(result,)), [])
    assert page.count("No take (left out") == 1 and page.count("data:audio/flac") == 5


def clip_of(times=True, text="hello there good morning", script=SCRIPT):
    recording = Recording("p", "model", Script.parse(script), np.zeros(48_000, np.float32), 16_000)
    own = Prompt("p", script)
    words = text.split()
    spoken = [[word, 0.5 * place, 0.5 * place + 0.4] for place, word in enumerate(words)]
    nonverbals = {
        "words": [time[1:] for time in spoken[:2]] + [[1.6, 2.0], [2.1, 2.5]],
        "word_turns": [0, 0, 1, 1],
        "asked": [{"tag": "laughs", "slot": 2, "speaker": 1}],
        "scores": {"laughs": [0.1, 0.9, 0.1]},
        "first": 0.5,
        "hop": 0.5,
        "pauses": [],
        "seconds": 3.0,
        "speakers": [1, 2],
    }
    values = {
        "wer": {"transcript": text, "times": spoken},
        "turns": {"times": [[0.0, 0.9], None]},
        "nonverbals": nonverbals,
    }
    scores = {name: ClipScore(own, 0, item) for name, item in values.items()} if times else {}
    return ScoredClip(recording, Context(own), scores)


def test_turns_words_tags_and_sounds_are_drawn_where_they_occur():
    times = timeline(clip_of(), {"laughs": 0.5})
    scale = times.width / 3.0
    assert [(span.text, span.number) for span in times.turns] == [("S1", 1)]  # the second was not located
    assert [span.text for span in times.words] == ["hello", "there", "good", "morning"]
    assert times.words[1].x == pytest.approx(0.5 * scale, abs=0.1)
    (tag,) = times.tags
    assert tag.text == "(laughs)" and tag.x == pytest.approx((0.9 + 1.6) / 2 * scale, abs=0.1)
    (sound,) = times.sounds
    assert sound.x + sound.width / 2 == pytest.approx(1.0 * scale, abs=0.2)
    assert timeline(clip_of(), {"laughs": 0.95}).sounds == ()


def test_what_was_not_measured_is_not_drawn():
    times = timeline(clip_of(times=False), {"laughs": 0.5})
    assert not (times.turns or times.words or times.tags or times.sounds) and times.ticks


@pytest.mark.parametrize("seconds", [0, 0.01, 3, 700])
def test_everything_lies_within_the_drawing(seconds):
    clip = clip_of()
    waveform = np.zeros(round(16_000 * seconds), np.float32)
    times = timeline(replace(clip, recording=replace(clip.recording, waveform=waveform)), {"laughs": 0.5})
    for spans in (times.turns, times.words, times.tags, times.sounds, times.ticks):
        assert all(0 <= span.x <= span.x + span.width <= times.width + 0.2 for span in spans)


def axes_of(figure):
    return [axis.get_title() for axis in figure.axes]


def with_scores(**values):
    clip = clip_of()
    scores = {name: ClipScore(clip.context.prompt, 0, item) for name, item in values.items()}
    return replace(clip, scores=scores)


def test_a_plot_without_values_is_not_drawn():
    rate = with_scores(wer={"errors": 1, "words": 4})
    both = with_scores(wer={"errors": 1, "words": 4}, mos={"score": 3.0})
    assert len(axes_of(distributions({"a": [rate], "b": [both]}))) == 2
    (title,) = axes_of(distributions({"a": [rate], "b": [rate]}))
    assert title.startswith("word error rate")
    assert distributions({"a": [with_scores()]}) is None


@pytest.mark.parametrize("name", ["$x", "$\\frac{", "a$b$c", "\\", "_^{}", "x" * 500])
def test_a_name_with_signs_of_formulas_is_drawn_as_text(name):
    rate = with_scores(wer={"errors": 1, "words": 4})
    assert png_url(distributions({name: [rate]})).startswith("data:image/png")
    assert png_url(heat_map([[0.5]], [name], [name])).startswith("data:image/png")


def test_words_and_names_in_the_drawing_are_escaped(cache):
    system = system_of("model", [0.2], cache)
    clip = clip_of(text='<script>alert(1)</script> "quoted"')
    bad = replace(
        clip, recording=replace(clip.recording, system='"><b>', waveform=np.ones(16_000, np.float32))
    )
    system = replace(system, clips=(bad,))
    results = results_of(system)
    page = render_report(results, [])
    assert "<script" not in page and '"><b>' not in page and "&lt;script&gt;" in page
    assert len(re.findall(r"<svg", page)) == 1
