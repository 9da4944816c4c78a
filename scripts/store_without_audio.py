"""Write a copy of a prepared data set without its audio, to train on another machine.

    python scripts/store_without_audio.py prepared/open_english-0123456789

Prints the folder of the copy. Training finds it with ``data.keep_audio=false``.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dia.data.without_audio import store_without_audio
from dia.errors import UserError


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a prepared data set")
    try:
        print(store_without_audio(parser.parse_args().folder))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
