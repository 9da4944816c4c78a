"""What a listening test found, as plain values for JSON and as tables for the terminal."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dia.listening_test.answers import Answers, Vote
from dia.listening_test.strengths import Fit, Strength, fit_votes


def listening_results(answers: Answers) -> dict[str, Any]:
    """Return all that the votes say. Raises ``ValueError`` as :func:`fit_votes` does."""
    votes = answers.votes
    found = fit_votes(votes)
    return {
        "question": answers.question,
        "systems": answers.systems,
        "listeners": [
            {"listener": one.name, "votes": len(one.votes), "unheard": one.unheard, "asked": one.asked,
             "checks": len(one.checks), "checks_right": sum(one.checks), "counted": one not in answers.failed}
            for one in answers.listeners
        ],
        "votes": len(votes),
        "prompts": len({vote.prompt_id for vote in votes}),
        "left_share": left_share(votes),
        "agreement": agreement(votes),
        "win_matrix": win_matrix(found),
        "tie": None if np.isinf(found.tie) else found.tie,
        "strengths": [asdict(one) for one in found.strengths],
        "preferences": [asdict(one) for one in found.preferences],
    }  # fmt: skip


def win_matrix(found: Fit) -> dict[str, dict[str, int]]:
    """Return how often each system was preferred to each other one; ties are counted on neither side."""
    matrix = {name: dict.fromkeys(found.systems, 0) for name in found.systems}
    for one in found.preferences:
        matrix[one.first][one.second], matrix[one.second][one.first] = one.wins, one.losses
    return matrix


def left_share(votes: Sequence[Vote]) -> float | None:
    """Return the share of preferences that went to the sound on the left (0.5 is no bias); None without
    preferences.
    """
    sides = [(vote.outcome == 1) == vote.left_first for vote in votes if vote.outcome]
    return sum(sides) / len(sides) if sides else None


def agreement(votes: Sequence[Vote]) -> float | None:
    """Return Krippendorff's alpha over comparisons (a pair of systems on a prompt): 1 is agreement, 0 is rng.

    The outcomes are ordered: preferring one, no difference, preferring the other. Every comparison is counted
    in both directions: which system is named first must not matter, and agreement that one is better is
    agreement. None when no comparison was answered by two listeners, or all saw no difference. Source: K.
    Krippendorff, "Content Analysis", 2004.
    """
    import krippendorff

    raters = {name: place for place, name in enumerate(sorted({vote.listener for vote in votes}))}
    items = {
        item: place
        for place, item in enumerate(sorted({(one.prompt_id, one.first, one.second) for one in votes}))
    }
    table = np.full((len(raters), len(items)), np.nan)
    for one in votes:
        table[raters[one.listener], items[one.prompt_id, one.first, one.second]] = one.outcome
    shared = table[:, np.isfinite(table).sum(axis=0) > 1]
    if not np.nansum(np.abs(shared)):
        return None
    both_ways = np.concatenate((shared, -shared), axis=1)
    return float(krippendorff.alpha(reliability_data=both_ways, level_of_measurement="ordinal"))


def show_results(results: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    for table in (_listeners(results), _matrix(results), _strengths(results), _pairs(results)):
        console.print(table)
    alpha, left = results["agreement"], results["left_share"]
    console.print(
        f"agreement between listeners (Krippendorff's alpha): {'not measurable' if alpha is None else f'{alpha:.2f}'}"
    )
    console.print(
        f"preferences for the sound on the left: {'none' if left is None else f'{100 * left:.0f} %'} (50 % is no bias)"
    )


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    drawn = Table(title=title)
    for column in columns:
        drawn.add_column(escape(column))
    for row in rows:
        drawn.add_row(*map(escape, row))
    return drawn


def _listeners(results: dict[str, Any]) -> Table:
    rows = [
        [one["listener"], f"{one['votes']}", f"{one['checks_right']} of {one['checks']}", f"{one['unheard']}",
         f"{one['asked'] - one['votes'] - one['checks'] - one['unheard']}", "yes" if one["counted"] else "no: failed the checks"]
        for one in results["listeners"]
    ]  # fmt: skip
    return _table(
        "listeners", ["listener", "votes", "checks right", "not heard", "not answered", "counted"], rows
    )


def _matrix(results: dict[str, Any]) -> Table:
    matrix = results["win_matrix"]
    rows = [
        [name, *("-" if name == other else str(wins) for other, wins in row.items())]
        for name, row in matrix.items()
    ]
    return _table("how often the row was preferred to the column", ["", *matrix], rows)


def _strengths(results: dict[str, Any]) -> Table:
    rows = []
    for one in results["strengths"]:
        kind = "reference" if results["systems"][one["system"]]["reference"] else ""
        rows.append([one["system"], kind, _strength_text(Strength(**one)), str(one["votes"])])
    return _table(
        "strength (Bradley-Terry with ties, log, mean 0; 95 %)", ["system", "", "strength", "votes"], rows
    )


def _strength_text(one: Strength) -> str:
    low, high = ("unbounded" if bound is None else f"{bound:+.2f}" for bound in (one.low, one.high))
    return f"{one.value:+.2f} [{low}, {high}]"


def _pairs(results: dict[str, Any]) -> Table:
    rows = [
        [f"{one['first']} - {one['second']}", f"{one['wins']} / {one['ties']} / {one['losses']}",
         f"{100 * one['share']:.0f} % [{100 * one['low']:.0f}, {100 * one['high']:.0f}]", f"{one['p_holm']:.4f}",
         "-" if one["votes_needed"] is None else str(one["votes_needed"])]
        for one in results["preferences"]
    ]  # fmt: skip
    columns = [
        "first - second",
        "first / no difference / second",
        "first preferred",
        "p (Holm)",
        "votes for 80 % power",
    ]
    return _table("preferences by the model, where there is one", columns, rows)
