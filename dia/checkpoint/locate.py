"""Find the files of a checkpoint: in a model folder, a run folder, beside a weights file, or on the Hub."""

from dataclasses import dataclass
from pathlib import Path

from dia.checkpoint.files import read_json
from dia.errors import UserError
from dia.home import existing
from dia.resources import SHIPPED_CHECKPOINTS, shipped_model

CONFIG = "config.json"
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt")
RUN_CONFIG = "config.yaml"
SHARDS = ".metadata"  # a file in every folder that torch.distributed.checkpoint writes


@dataclass(frozen=True)
class Located:
    """The files of a checkpoint.

    Attributes:
        path: The path or Hub id that was given.
        config: config.json, or for a Lightning checkpoint the config.yaml of its run; None without one.
        generation: generation_config.json; None without one.
        weights: Weights files.
    """

    path: str
    config: Path | None
    generation: Path | None
    weights: list[Path]


def resolve_checkpoint(name: str) -> str | Path:
    """Return the folder of a shipped model, or ``name`` itself when it is a path or a Hub id."""
    return shipped_model(name) if name in SHIPPED_CHECKPOINTS else name


def locate(path: str | Path, weights: bool = True) -> Located:
    """Find the files of a checkpoint.

    Args:
        path: A weights file, a model folder, a run folder (its subfolder `model`), or a Hub id.
        weights: Whether the weights are needed; otherwise only the config is downloaded from the Hub.

    Raises:
        UserError: When there is no checkpoint, or when several are possible.
    """
    here = existing(path)
    if here.is_file():
        return _beside(here)
    if (here / SHARDS).is_file():
        raise UserError(
            f"{here} is a sharded checkpoint; convert it to a model with python -m dia.weights consolidate "
            "RUN "
            "out=FOLDER"
        )
    for candidate in (here, here / "model"):
        if candidate.is_dir() and (files := _weights_in(candidate)):
            return _in_folder(str(path), candidate, files)
    if here.exists():
        raise UserError(
            f"{here} holds no checkpoint, nor does its subfolder `model`; give a run folder, a model "
            "folder or a "
            "weights file"
        )
    if str(path).count("/") != 1 or str(path).startswith((".", "/")):
        raise UserError(
            f"there is no checkpoint at {path}; give a run folder, a model folder, a file or a Hub id "
            "(owner/name)"
        )
    if not weights:
        return _in_folder(str(path), _download(str(path), [CONFIG]), [])
    folder = _download(str(path), [CONFIG, GENERATION, "*.safetensors", INDEX])
    if not (files := _weights_in(folder)):  # older checkpoints have `.pth` files only
        folder = _download(str(path), [CONFIG, "*.pth"])
        files = _weights_in(folder)
    if not files:
        raise UserError(
            f"{path} holds no weights ({', '.join(f'*{ending}' for ending in ENDINGS)}); give another "
            "checkpoint"
        )
    return _in_folder(str(path), folder, files)


def _beside(file: Path) -> Located:
    """Return a single file with the config beside it, or that of the run a Lightning checkpoint lies in."""
    if file.suffix not in ENDINGS:
        raise UserError(f"{file} is no weights file; give one that ends with {', '.join(ENDINGS)}")
    config = next(
        (
            place
            for place in (file.parent / CONFIG, file.absolute().parents[1] / RUN_CONFIG)
            if place.is_file()
        ),
        None,
    )
    generation = file.parent / GENERATION
    return Located(str(file), config, generation if generation.is_file() else None, [file])


def _in_folder(path: str, folder: Path, weights: list[Path]) -> Located:
    config, generation = folder / CONFIG, folder / GENERATION
    return Located(
        path, config if config.is_file() else None, generation if generation.is_file() else None, weights
    )


def _weights_in(folder: Path) -> list[Path]:
    """Return the weights of a folder: those in the index, else the usual file, else the only one."""
    if (folder / INDEX).is_file():
        return [
            folder / name for name in sorted(set(read_json(folder / INDEX).get("weight_map", {}).values()))
        ]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    files = sorted(file for file in folder.iterdir() if file.suffix in ENDINGS)
    if len(files) > 1:
        raise UserError(
            f"{folder} holds several checkpoints: {', '.join(file.name for file in files)}; give one of "
            "the files"
        )
    return files


def _download(hub_id: str, patterns: list[str]) -> Path:
    """Download files of a checkpoint from the Hub into its cache, and return their folder."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{hub_id} is no folder here and cannot be downloaded from the Hub ({type(error).__name__}); "
            "check name "
            "and network"
        ) from error
