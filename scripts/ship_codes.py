"""Pack the shards of a synthesized data set, finished or not, into the archives that the package ships.

    python scripts/ship_codes.py data/codes/open_english +recipe=open
    python scripts/ship_codes.py data/codes/open_english --shards OTHER_FOLDER +recipe=open

Arguments after the options are those of `python -m dia.prepare`; they name the data set whose shards are
packed. ``--shards`` names another folder with the same clips, such as a data set with audio that a codec
tokenized (`data.corpus=prepared`).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dia.codecs.registry import load_codec
from dia.config.compose import compose, typed
from dia.data.prepare import folder_of_request, request_of
from dia.data.prepared import parts_folder
from dia.data.shipped_shards import pack_shards
from dia.errors import UserError
from dia.pipelines.check_config import complete


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path, help="folder of the archives")
    parser.add_argument("--shards", type=Path, help="folder of the shards")
    arguments, overrides = parser.parse_known_args()
    try:
        config = complete(typed(compose("train", overrides)))
        codec = load_codec(config.codec_name)
        folder = folder_of_request(config.data, codec)
        shards = arguments.shards or (folder if folder.exists() else parts_folder(folder))
        for path in pack_shards(shards, request_of(config.data, codec), arguments.target):
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
