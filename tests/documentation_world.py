"""The folder in which the Python blocks of a documentation page run.

- `runs/nano`: a finished run with its model (the shipped dia_nano)
- `anna.wav`: 6 s of noise, a voice prompt (a transcript that fits has about 85 characters);
  `recordings/`: four clips with their table `rows.jsonl`
- `nari-labs/Dia-1.6B-0626`: a tiny random checkpoint in nari's layout, found before the Hub is; in the
  home folder a tiny DAC where the dac package looks for its own weights
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dac
import numpy as np
import soundfile
import torch

from dia.network import DiaNetwork
from dia.resources import resource
from tests.checkpoint.test_layouts import nari_folder
from tests.conftest import TINY

RATE = 16_000


def write_world(folder: Path) -> dict[str, str]:
    """Write ``folder/work`` and ``folder/home``; return the environment that a page runs in."""
    work, home = folder / "work", folder / "home"
    (work / "runs" / "nano").mkdir(parents=True)
    (work / "runs" / "nano" / "model").symlink_to(Path(str(resource("data/models/dia_nano"))).resolve())
    noise = 0.1 * np.random.default_rng(0).standard_normal(6 * RATE)
    soundfile.write(work / "anna.wav", noise, RATE)
    (work / "recordings").mkdir()
    rows = []
    for number in range(4):
        soundfile.write(work / "recordings" / f"{number}.wav", noise[: (2 + number % 2) * RATE], RATE)
        rows.append({"audio": f"{number}.wav", "text": "[S1] And so we left.", "speaker": "anna"})
    (work / "recordings" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _write_large_model(work / "nari-labs" / "Dia-1.6B-0626")
    _write_dac(home / ".cache" / "descript" / "dac")
    return {"HOME": str(home), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def run_page(page: str, script: list[tuple[int, str, str]]) -> None:
    """Run the blocks of a page (line, hidden set-up, text) in one namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, setup, text in script:
        exec(compile(setup, f"{page} (setup)", "exec"), namespace)
        exec(compile("\n" * (line - 1) + text, page, "exec"), namespace)


def _write_large_model(folder: Path) -> None:
    """A random network of Dia-1.6B's channels and codes, with room for a voice and a few seconds."""
    torch.manual_seed(0)
    decoder = replace(TINY.decoder, codebook_size=1_024, max_positions=1_024)
    network = DiaNetwork(replace(TINY, decoder=decoder, delays=[0, 8, 9, 10, 11, 12, 13, 14, 15])).eval()
    folder.parent.mkdir(parents=True)
    nari_folder(network, folder, nested=True)


def _write_dac(folder: Path) -> None:
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    sizes = {"n_codebooks": 9, "codebook_size": 1_024, "codebook_dim": 4, "sample_rate": 44_100}
    model = dac.DAC(
        encoder_dim=2, encoder_rates=[2, 4, 8, 8], decoder_dim=32, decoder_rates=[8, 8, 4, 2], **sizes
    )
    model.save(str(folder / "weights_44khz_8kbps_0.0.1.pth"), package=False)
