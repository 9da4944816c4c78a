"""Compare the numbers of two JSON files of ``dia-bench``."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dia.config.bench_suite import BenchCompareConfig
from dia.errors import UserError, one_line
from dia.types import flatten

SAME = 0.005  # relative difference that is not shown


def compare_files(config: BenchCompareConfig, console: Console) -> None:
    """Print all numbers that two files share and that differ, with their ratio. Raises :class:`UserError`."""
    if problems := config.problems():
        raise UserError("cannot compare: " + "; ".join(problems))
    first, second = (_numbers(Path(name)) for name in config.files)
    table = Table("", *config.files, "ratio", title="numbers that differ by more than half a percent")
    shared = [name for name in first if name in second]
    for name in shared:
        one, other = first[name], second[name]
        if abs(one - other) > SAME * abs(one):
            table.add_row(name, f"{one:.6g}", f"{other:.6g}", f"{other / one:.3f}" if one else "-")
    console.print(table)
    for path, names, others in ((config.files[0], first, second), (config.files[1], second, first)):
        if missing := [name for name in names if name not in others]:
            console.print(f"only in {path}: {', '.join(missing)}")
    console.print(f"{len(shared)} numbers in both files, {table.row_count} differ")


def _numbers(path: Path) -> dict[str, float]:
    """Return the numbers of a file by their place in it. Raises :class:`UserError`."""
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({one_line(error)}); give a JSON file of dia-bench"
        ) from error
    numbers: dict[str, float] = {}
    for name, value in flatten(content).items():
        measured = value if isinstance(value, list) else [value]
        measured = [item for item in measured if isinstance(item, int | float) and not isinstance(item, bool)]
        if measured:
            label = f"{name} (mean of {len(measured)})" if isinstance(value, list) else name
            numbers[label] = sum(measured) / len(measured)
    return numbers
