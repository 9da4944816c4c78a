"""Print the report of an evaluation in the terminal: the same sentences and scores in the same order."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dia.evaluation.coverage import coverage_sentences
from dia.evaluation.published import Published
from dia.evaluation.report import describe_systems, published_by_system
from dia.evaluation.report_tables import not_measured_rows, published_rows
from dia.evaluation.results import EvaluationResults, SuiteResult
from dia.evaluation.score_table import BETTER, ScoreCell, ScoreGroup, score_table
from dia.evaluation.sentences import ALONE, explain, overall_sentence
from dia.evaluation.terminal import WIDTH
from dia.evaluation.verdicts import verdicts_of


def print_report(
    results: EvaluationResults, published: Sequence[Published], console: Console | None = None
) -> None:
    """Print answers, what is missing, scores in groups with published results, and what was not measured."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(width=WIDTH, file=console.file)
    for result in results.suites:
        for line in answer_lines(result):
            _print_line(console, line)
    for line in (*describe_systems(results), *results.problems):
        _print_line(console, line)
    beside = published_by_system(results, published)
    for result in results.suites:
        table = score_table(result, beside)
        for group in table.groups:
            if group.rows:
                console.print(_group_table(result.suite.name, group, table.systems))
            for row in published_rows(group.published):
                _print_line(console, f"  published: {' | '.join(row)}")
        if len(table.systems) > 1:
            _print_line(
                console,
                f"▲ better and ▼ worse are in comparison with {table.systems[0]}; with a question mark no "
                "test shows it, but the interval excludes zero. Scores with ● decide between systems.",
            )
    missing = not_measured_rows(results)
    if missing:
        _print_line(console, f"Not measured, {len(missing)}:")
    for title, reason, where in missing:
        _print_line(console, f"  - {title}: {reason} [{where}]")


def answer_lines(result: SuiteResult) -> Iterator[str]:
    """Yield the first screen of the report: answers with how sure they are, then coverage."""
    verdicts = verdicts_of(result)
    yield f"Suite {result.suite.name}"
    if overall := overall_sentence(verdicts):
        yield overall
    if not verdicts:
        yield ALONE
    for verdict in verdicts:
        words = explain(verdict, result)
        yield ""
        yield words.answer
        yield from (f"  {line}" for line in (words.scores, words.certainty, words.basis) if line)
        yield from (f"    {line}" for line in words.numbers)
    yield ""
    yield from coverage_sentences(result)
    yield ""


def _group_table(suite: str, group: ScoreGroup, systems: Sequence[str]) -> Table:
    table = Table(title=escape(f"{suite}: {group.title}"), caption=escape(group.question))
    for title in ("score", *systems):
        table.add_column(escape(title))
    for row in (*group.rows, *group.more):
        title = f"{row.title}{' ●' if row.primary else ''}" + (f" ({row.unit})" if row.unit else "")
        table.add_row(escape(title), *map(_cell_text, row.cells))
    return table


def _cell_text(cell: ScoreCell) -> Text:
    """Return a cell with its interval, n, and whether it is better or worse in colour and sign."""
    text = Text(cell.value)
    about = [cell.interval, f"n = {cell.prompts}" if cell.prompts else ""]
    if any(about):
        text.append(f" ({'; '.join(filter(None, about))})", "dim")
    if cell.complete:
        text.append(f"; {cell.complete} of the takes that exist", "dim")
    if cell.mark:
        sign, colour = ("▲", "green") if cell.mark == BETTER else ("▼", "red")
        sure = "" if cell.shown else "?"
        style = f"bold {colour}" if cell.shown else colour
        text.append(f"\n{sign} {cell.mark}{sure} ({cell.difference})", style)
    for line in cell.published:
        text.append(f"\n{line}", "dim")
    return text


def _print_line(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
