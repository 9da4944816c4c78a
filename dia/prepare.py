"""The command ``python -m dia.prepare`` (``dia-prepare``): prepare a data set, and publish it.

The same command resumes an interrupted preparation. Exit codes: 0 complete, 2 refused, 3 some inputs could
not be read and were left out.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia.cli.run import run
from dia.errors import EXIT_INCOMPLETE, UserError

if TYPE_CHECKING:
    from dia.config.publishing import PushDataConfig
    from dia.config.train import RunConfig

LISTED = 20  # inputs that were left out and are named one by one


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run("prepare", {"": prepare_data, "push": push}, arguments)


def prepare_data(config: "RunConfig") -> None:
    """Prepare the data of a configuration, verify checksums, and print statistics. Raises ``UserError``."""
    from dia.codecs.registry import load_codec
    from dia.config.train import DataRunConfig
    from dia.data.prepared import read_card, require_intact
    from dia.pipelines.check_config import complete, validate
    from dia.pipelines.prepare_data import prepare

    config = complete(config)
    validate(config)
    if not isinstance(config, DataRunConfig):
        raise UserError(
            f"task={config.task} has no data to prepare; run python -m dia.train with these arguments"
        )
    codec = load_codec(config.codec_name) if config.codec_name else None
    folder = prepare(config.data, codec, config.engine)
    require_intact(folder)  # also when it exists already
    card = read_card(folder)
    print(f"prepared: {folder}  (listen: {folder / 'page.html'})")
    for name, statistics in card["figures"].items():
        print(f"  {name}: {_listed(name, statistics)}")
    if left_out := card["left_out"]:
        print(_left_out(left_out, folder), file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)


def push(config: "PushDataConfig") -> None:
    """Publish a prepared data set. Raises ``UserError`` for wrong keys, and as its parts do."""
    from dia.config.checks import bullet_list
    from dia.publishing.push import push_data

    if problems := config.problems():
        raise UserError(bullet_list("the data set cannot be published:", problems))
    push_data(config)


def _listed(name: str, statistics: Mapping[str, Any]) -> str:
    items = [f"{key} {value}" for key, value in statistics.items()]
    if name == "counts" and items:
        return "\n    ".join(["", *items])
    return ", ".join(items) or "none"


def _left_out(items: Sequence[Mapping[str, str]], folder: Path) -> str:
    """Return the first inputs that were left out with their reasons, and counts of the others."""
    lines = [f"left out, {len(items)} that could not be read:"]
    lines += [f"  - {item['id']}: {item['error']}" for item in items[:LISTED]]
    if further := items[LISTED:]:
        kinds = Counter(item["error"].rsplit(": ", 1)[-1][:60] for item in further)
        lines.append(f"  and {len(further)} more: {dict(kinds.most_common(5))}; all in {folder}/dia.json")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
