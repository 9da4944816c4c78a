import io
import logging

import pytest
from rich.console import Console

from dia import log
from dia.progress import Progress, format_duration, format_value, progress


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def test_without_a_terminal_the_first_item_is_logged_then_a_line_every_half_minute(caplog):
    caplog.set_level(logging.INFO, logger="dia")
    clock = Clock()
    with Progress("training", 1000, unit="steps", console=Console(file=io.StringIO()), clock=clock) as shown:
        for step in range(1, 101):
            clock.now = 1.0 * step
            shown.update(step, loss=5.0 / step, learning_rate=2e-4)
    first, *_, last = lines = [record.message for record in caplog.records]
    assert first == (
        "training: 1 of 1,000 steps (0%), loss 5, learning rate 2.00e-04, 1 steps/s, elapsed 0:01, left 16:39"
    )
    assert len(lines) == 5  # at 1, 31, 61, 91 and 100 seconds
    assert last == "training: 100 of 1,000 steps (10%), 1 steps/s, elapsed 1:40, left 15:00"


def test_long_work_is_logged_once_a_hundredth(caplog):
    caplog.set_level(logging.INFO, logger="dia")
    clock = Clock()
    with Progress("training", 1000, console=Console(file=io.StringIO()), clock=clock) as shown:
        for step in range(1, 1001):
            clock.now = 20.0 * step  # 20,000 seconds in all
            shown.update(step)
    assert 98 <= len(caplog.records) <= 101


def test_a_resumed_run_counts_only_its_own_items_in_the_rate():
    clock = Clock()
    shown = Progress("training", 100, first=90, console=Console(file=io.StringIO()), clock=clock)
    with shown:
        clock.now = 10.0
        shown.update(95)
    assert shown.seconds_left == pytest.approx(10.0)


def test_a_terminal_gets_a_bar_and_no_log_lines(caplog):
    caplog.set_level(logging.INFO, logger="dia")
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress("training", 10, unit="steps", console=screen) as shown:
        shown.advance(10, loss=1.25)
    assert "10/10" in screen.file.getvalue() and "loss 1.25" in screen.file.getvalue()
    assert not caplog.records


def test_items_pass_through_unchanged():
    assert list(progress([3, 1, 2], "sorting")) == [3, 1, 2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6.94e-18, "0"),
        (0.0002, "2.00e-04"),
        (5.12345, "5.12"),
        (1234.5, "1,234"),
        (float("nan"), "nan"),
        (3, "3"),
    ],
)
def test_numbers_are_short(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "0:42"), (725, "12:05"), (11232, "3:07:12"), (183600, "2 d 3:00:00")]
)
def test_durations_are_short(seconds, text):
    assert format_duration(seconds) == text


def shown(record_of, monkeypatch, capsys, rank="0"):
    """What the command line shows of records."""
    monkeypatch.setenv("RANK", rank)
    handler = log._StandardError()
    for name, level, message in record_of:
        handler.handle(logging.LogRecord(name, level, "", 0, message, (), None))
    return capsys.readouterr().err


def test_only_rank_0_shows_information_and_other_ranks_name_themselves(monkeypatch, capsys):
    records = [
        ("dia.train", logging.INFO, "one"),
        ("other", logging.INFO, "two"),
        ("other", logging.WARNING, "three"),
    ]
    assert shown(records, monkeypatch, capsys) == "one\nwarning: three\n"
    assert shown(records, monkeypatch, capsys, rank="3") == "[rank 3] warning: three\n"
