"""Prepare a data set: ``python -m dia.prepare +recipe=demo``. The same request again finds it there."""

from dia.audio.load import load_codec
from dia.conf import TrainConfig, run, validate
from dia.data.prepare import prepare
from dia.data.prepared import read_card


def main(config: TrainConfig) -> None:
    """Prepare what the config's data part asks for and print where it lies. Raises ``UserError`` as its parts do."""
    validate(config)
    folder = prepare(config.data, load_codec(config.codec.name) if config.data.tokens else None)
    print(f"prepared: {folder}")
    print(f"  {read_card(folder)['figures']}")


if __name__ == "__main__":
    run("train", main)
