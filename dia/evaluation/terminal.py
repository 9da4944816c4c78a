"""Render the results of an evaluation for the terminal: tables, plain sentences, and commands to try next."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dia.evaluation.comparison import Comparison
from dia.evaluation.coverage import coverage_sentences, unmeasured_sentences
from dia.evaluation.results import EvaluationResults, SuiteResult
from dia.evaluation.score_format import describe_unit, format_p, format_result
from dia.evaluation.sentences import ALONE, explain, overall_sentence
from dia.evaluation.suites import Suite
from dia.evaluation.verdicts import main_verdict, verdicts_of

WIDTH = 160  # characters of tables in a file or a pipe
COLUMNS = (
    "score",
    "first - second",
    "difference",
    "p",
    "p (corrected)",
    "prompts",
    "seeds",
    "failures",
    "80 % power needs",
)


def print_results(results: EvaluationResults, report: Path, console: Console | None = None) -> None:
    """Print the tables of every suite, then what was measured, the answer, the report and next commands."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(width=WIDTH, file=console.file)
    for result in results.suites:
        console.print(headline_table(result))
        tested = [item for item in result.comparisons if item.primary]
        if tested:
            console.print(comparison_table(tested))
    for line in summary_lines(results, report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def summary_lines(results: EvaluationResults, report: Path) -> Iterator[str]:
    """Yield details, then three sentences (measured, answer, report), then commands to try next."""
    if results.learning:
        loss, marginal = results.learning.training[-1][1], results.learning.marginal
        yield f"Training loss {loss:.3f} nats; guessing by token frequency costs {marginal:.3f}."
    if results.speed:
        yield f"Speed: {results.speed.times_real_time:.2f} times real time, one text at a time."
    cache = results.cache
    yield f"{cache.hits} of {cache.lookups} takes and scores came from the cache {cache.folder}."
    yield ""
    yield measured_sentence(results)
    for result in results.suites:
        if overall := overall_sentence(verdicts_of(result)):
            yield f"{result.suite.name}: {overall}"
        yield answer_sentence(result)
        yield from (f"  {line}" for line in (*coverage_sentences(result), *unmeasured_sentences(result)))
    yield f"The report with audio is {report.resolve()}"
    yield ""
    yield "Try next:"
    for command in next_commands(results):
        yield f"  {command}"


def measured_sentence(results: EvaluationResults) -> str:
    """Return which systems were measured on how many prompts."""
    suites = ", ".join(f"{item.suite.name} ({len(item.prompts)} prompts)" for item in results.suites)
    systems = dict.fromkeys(system.name for item in results.suites for system in item.systems)
    return f"Measured on the suite{'s' * (len(results.suites) > 1)} {suites}: {', '.join(systems)}."


def answer_sentence(result: SuiteResult) -> str:
    """Return the main comparison of a suite in plain words: the answer, how sure it is, and on what."""
    verdict = main_verdict(result)
    return f"{result.suite.name}: {ALONE if verdict is None else explain(verdict, result).text()}"


def next_commands(results: EvaluationResults) -> list[str]:
    """Return two or three commands that follow from an evaluation; a listening test needs two recordings."""
    recorded = " ".join(map(shlex.quote, results.recordings))
    if not results.checkpoint:
        listen = [f"python -m dia.eval listen {recorded} out=listen.html"] * (len(results.recordings) > 1)
        return [
            *listen,
            f"python -m dia.eval ckpt=dia_open systems=[{','.join(results.recordings)}] "
            f"suite={shlex.quote(suite_argument(results.suites[0].suite))}",
            "python -m dia.eval record --help",
        ]
    checkpoint = shlex.quote(f"ckpt={results.checkpoint}")
    return [
        f'python -m dia.generate "[S1] Hello, how are you? [S2] Fine. (laughs)" {checkpoint} out=hello.wav',
        f"python -m dia.eval {checkpoint} suite=full",
        "python -m dia.train +recipe=voice data.path=FOLDER",
    ]


def suite_argument(suite: Suite) -> str:
    """Return the value of ``suite=`` that selects a suite: its name, or the path of its JSONL file."""
    return suite.file if suite.file.endswith(".jsonl") else suite.name


def headline_table(result: SuiteResult) -> Table:
    """Return the headline results that some system has, one column per system."""
    table = Table(title=f"suite {escape(result.suite.name)}: {len(result.prompts)} prompts")
    for title in ("", *(system.name for system in result.systems)):
        table.add_column(escape(title))
    headlines = {
        name: item
        for system in result.systems
        for name, item in system.metrics.items()
        if item.headline and item.measured
    }
    for name, item in headlines.items():
        cells = [format_result(system.metrics.get(name)) for system in result.systems]
        table.add_row(
            escape(f"{item.title} ({unit})" if (unit := describe_unit(item)) else item.title),
            *map(escape, cells),
        )
    return table


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Return comparisons as a table for the terminal."""
    table = Table(
        title="differences, paired by prompt; 95 % intervals; p by permutation, corrected over tested rows"
    )
    for title in COLUMNS:
        table.add_column(title)
    for comparison in comparisons:
        table.add_row(*map(escape, _comparison_cells(comparison)))
    return table


def _complete_case(one: Comparison) -> str:
    """Return the difference without missing takes, empty where none is missing."""
    if one.complete_case is None:
        return ""
    value = one.complete_case.difference
    return f"; {'-' if value is None else f'{value:+.3f}'} on {one.complete_case.prompts} prompts of both"


def _comparison_cells(one: Comparison) -> list[str]:
    interval = "no prompt differs]" if one.low is None else f"{one.low:+.3f}, {one.high:+.3f}]"
    power = "-" if one.prompts_needed is None else f"{one.prompts_needed} prompts"
    p_values = ["-" if p is None else format_p(p) for p in (one.p, one.p_holm)]
    if one.smallest_difference is not None:
        power += f"; {one.prompts} find {one.smallest_difference:.3f}"
    interval += _complete_case(one)
    left_out = f" ({one.left_out} left out)" if one.left_out else ""
    return [
        one.score,
        f"{one.first} - {one.second}",
        f"{one.difference:+.3f} [{interval}",
        *p_values,
        f"{one.prompts}{left_out}",
        "/".join(map(str, one.seeds)),
        "/".join(map(str, one.failures)),
        power,
    ]
