"""Results of a listening test: as plain values for JSON, and as tables for the terminal."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dia.listening_test.answers import CollectedAnswers, ListenerAnswers, Vote
from dia.listening_test.strengths import PreferenceModel, Strength, fit_votes


def listening_results(answers: CollectedAnswers) -> dict[str, Any]:
    """Return all results as plain values. Raises ``ValueError`` as :func:`fit_votes` does."""
    votes = answers.votes
    model = fit_votes(votes)
    return {
        "question": answers.question,
        "systems": answers.systems,
        "listeners": [
            _listener_result(listener, counted=listener not in answers.failed)
            for listener in answers.listeners
        ],
        "votes": len(votes),
        "prompts": len({vote.prompt_id for vote in votes}),
        "left_share": left_share(votes),
        "agreement": agreement(votes),
        "win_matrix": win_matrix(model),
        "tie": None if np.isinf(model.tie) else model.tie,
        "strengths": [asdict(strength) for strength in model.strengths],
        "preferences": [asdict(preference) for preference in model.preferences],
    }


def win_matrix(model: PreferenceModel) -> dict[str, dict[str, int]]:
    """Return how often each system was preferred to each other one; ties count for neither."""
    matrix = {name: dict.fromkeys(model.systems, 0) for name in model.systems}
    for pair in model.preferences:
        matrix[pair.first][pair.second], matrix[pair.second][pair.first] = pair.wins, pair.losses
    return matrix


def left_share(votes: Sequence[Vote]) -> float | None:
    """Return the share of preferences for the clip on the left (0.5 is no bias); None without preferences."""
    sides = [(vote.outcome == 1) == vote.left_first for vote in votes if vote.outcome]
    return sum(sides) / len(sides) if sides else None


def agreement(votes: Sequence[Vote]) -> float | None:
    """Return Krippendorff's alpha over comparisons (two systems on a prompt): 1 is agreement, 0 is random.

    The outcomes are ordinal: preference for one, no difference, preference for the other. Every comparison
    counts in both directions, because the order of the systems' names is arbitrary and agreement that one is
    better is agreement. None when no comparison has answers of two listeners, or all of them are ties.
    Source: K. Krippendorff, "Content Analysis", 2004.
    """
    import krippendorff

    raters = {name: index for index, name in enumerate(sorted({vote.listener for vote in votes}))}
    comparisons = sorted({(vote.prompt_id, vote.first, vote.second) for vote in votes})
    items = {item: index for index, item in enumerate(comparisons)}
    table = np.full((len(raters), len(items)), np.nan)
    for vote in votes:
        table[raters[vote.listener], items[vote.prompt_id, vote.first, vote.second]] = vote.outcome
    shared = table[:, np.isfinite(table).sum(axis=0) > 1]
    if not np.nansum(np.abs(shared)):
        return None
    both_ways = np.concatenate((shared, -shared), axis=1)
    return float(krippendorff.alpha(reliability_data=both_ways, level_of_measurement="ordinal"))


def print_results(results: dict[str, Any], console: Console) -> None:
    """Print the tables, the preferences first."""
    for table in (_pair_table(results), _strength_table(results), _matrix(results), _listener_table(results)):
        console.print(table)
    alpha, left = results["agreement"], results["left_share"]
    alpha_text = "not measurable" if alpha is None else f"{alpha:.2f}"
    left_text = "none" if left is None else f"{100 * left:.0f} %"
    console.print(f"agreement between listeners (Krippendorff's alpha): {alpha_text}")
    console.print(f"preferences for the clip on the left: {left_text} (50 % is no bias)")


def _listener_result(listener: ListenerAnswers, *, counted: bool) -> dict[str, Any]:
    return {
        "listener": listener.name,
        "votes": len(listener.votes),
        "skipped": listener.skipped,
        "trials": listener.trials,
        "checks": len(listener.checks),
        "checks_correct": sum(listener.checks),
        "counted": counted,
    }


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title)
    for column in columns:
        table.add_column(escape(column))
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _listener_table(results: dict[str, Any]) -> Table:
    rows = []
    for one in results["listeners"]:
        unanswered = one["trials"] - one["votes"] - one["checks"] - one["skipped"]
        rows.append(
            [
                one["listener"],
                str(one["votes"]),
                f"{one['checks_correct']} of {one['checks']}",
                str(one["skipped"]),
                str(unanswered),
                "yes" if one["counted"] else "no: failed the checks",
            ]
        )
    columns = ["listener", "votes", "checks correct", "skipped", "not answered", "counted"]
    return _table("listeners", columns, rows)


def _matrix(results: dict[str, Any]) -> Table:
    matrix = results["win_matrix"]
    rows = [
        [name, *("-" if name == other else str(wins) for other, wins in row.items())]
        for name, row in matrix.items()
    ]
    return _table("how often the row was preferred to the column", ["", *matrix], rows)


def _strength_table(results: dict[str, Any]) -> Table:
    rows = []
    for one in results["strengths"]:
        kind = "reference" if results["systems"][one["system"]]["reference"] else ""
        rows.append([one["system"], kind, _strength_text(Strength(**one)), str(one["votes"])])
    title = "strength of each system (Bradley-Terry with ties, log, mean 0; 95 % interval)"
    return _table(title, ["system", "", "strength", "votes"], rows)


def _strength_text(strength: Strength) -> str:
    low, high = ("unbounded" if bound is None else f"{bound:+.2f}" for bound in (strength.low, strength.high))
    return f"{strength.value:+.2f} [{low}, {high}]"


def _pair_table(results: dict[str, Any]) -> Table:
    rows = [
        [
            f"{one['first']} - {one['second']}",
            f"{one['wins']} / {one['ties']} / {one['losses']}",
            f"{100 * one['share']:.0f} % [{100 * one['low']:.0f}, {100 * one['high']:.0f}]",
            f"{one['p_holm']:.4f}",
            "-" if one["votes_needed"] is None else str(one["votes_needed"]),
        ]
        for one in results["preferences"]
    ]
    columns = [
        "first - second",
        "first / no difference / second",
        "first preferred",
        "p (Holm)",
        "votes for 80 % power",
    ]
    return _table("preferences of each pair, estimated by the model (95 % interval)", columns, rows)
