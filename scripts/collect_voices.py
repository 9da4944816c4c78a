"""Collect Kokoro's English voices into data/open_english/voices.safetensors.

    npm pack kokoro-js && tar xzf kokoro-js-*.tgz
    python scripts/collect_voices.py package/voices data/open_english/voices.safetensors

The package has a file of float32 values for each voice (Apache-2.0): a style of 256 values for each number of
phonemes up to 510. They are stored as float16.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from dia.files import write_bytes

ENGLISH = ("af_", "am_", "bf_", "bm_")


def main() -> None:
    """Write the styles (510, 256) by voice."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    styles = {
        path.stem: np.fromfile(path, dtype=np.float32).reshape(-1, 256).astype(np.float16)
        for path in sorted(folder.glob("*.bin"))
        if path.stem.startswith(ENGLISH)
    }
    write_bytes(out, save(styles))
    print(f"{len(styles)} voices in {out}")


if __name__ == "__main__":
    main()
