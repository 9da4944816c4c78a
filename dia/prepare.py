"""Prepare a data set: ``python -m dia.prepare +recipe=demo``. The same request again finds it there; a
stopped one goes on.

Exits with 0 when everything asked for is there, and with 3 when some of it could not be read and was left
out.
"""

import sys
from collections import Counter

from dia.codecs.registry import load_codec
from dia.config.compose import run
from dia.config.train import TrainConfig
from dia.data.prepare import prepare
from dia.data.prepared import read_card
from dia.errors import EXIT_INCOMPLETE
from dia.pipelines.check_config import complete, validate


def main(config: TrainConfig) -> None:
    """Prepare what the config's data part asks for and say what it holds. Raises ``UserError`` as its parts
    do.
    """
    config = complete(config)
    validate(config)
    codec = load_codec(config.codec.name) if config.data.tokens else None
    folder = prepare(config.data, codec, config.engine)
    card = read_card(folder)
    print(f"prepared: {folder}  (listen: {folder / 'page.html'})")
    for name, figures in card["figures"].items():
        listed = [f"{key} {value}" for key, value in figures.items()]
        print(
            f"  {name}: "
            + ("\n    ".join(["", *listed]) if name == "counts" and listed else ", ".join(listed) or "none")
        )
    if left_out := card["left_out"]:
        print(f"left out, {len(left_out)} that could not be read:", file=sys.stderr)
        for item in left_out[:20]:
            print(f"  - {item['id']}: {item['error']}", file=sys.stderr)
        if len(left_out) > 20:
            kinds = Counter(item["error"].rsplit(": ", 1)[-1][:60] for item in left_out[20:])
            print(
                f"  and {len(left_out) - 20} more: {dict(kinds.most_common(5))}; all in {folder}/dia.json",
                file=sys.stderr,
            )
        sys.exit(EXIT_INCOMPLETE)


if __name__ == "__main__":
    run("train", main)
