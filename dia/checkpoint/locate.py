"""Where a checkpoint's files are: in a folder, a run folder, beside a single file, or on the Hub."""

from dataclasses import dataclass
from pathlib import Path

from dia.checkpoint.files import read_json
from dia.errors import UserError
from dia.home import existing
from dia.resources import SHIPPED_CHECKPOINTS, shipped_model

CONFIG, GENERATION, WEIGHTS, INDEX = (
    "config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json",
)  # fmt: skip
ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt")
RUN_CONFIG = "config.yaml"
SHARDS = ".metadata"  # in a folder that torch.distributed.checkpoint wrote


@dataclass(frozen=True)
class Located:
    """A checkpoint's files. ``config`` is config.json, or the config.yaml of a run for Lightning's file; None
    without one.
    """

    path: str
    config: Path | None
    generation: Path | None
    weights: list[Path]


def resolve_checkpoint(name: str) -> str | Path:
    """Return the path of a model that the package ships, or ``name`` itself: a path or a Hub id."""
    return shipped_model(name) if name in SHIPPED_CHECKPOINTS else name


def locate(path: str | Path, weights: bool = True) -> Located:
    """Find a checkpoint: a weights file, a model folder, a run folder (its `model`), or a Hub id.

    Without ``weights`` nothing but its config is fetched from the Hub.
    Raises :class:`UserError` when there is none, or more than one that could be meant.
    """
    here = existing(path)
    if here.is_file():
        return _beside(here)
    if (here / SHARDS).is_file():
        raise UserError(
            f"{here} is a checkpoint in shards; python -m dia.weights consolidate RUN out=FOLDER makes a model of it"
        )
    for candidate in (here, here / "model"):
        if candidate.is_dir() and (found := _weights_in(candidate)):
            return _in_folder(str(path), candidate, found)
    if here.exists():
        raise UserError(
            f"{here} holds no checkpoint, nor does its `model`; name a run folder, a model folder or a weights file"
        )
    if str(path).count("/") != 1 or str(path).startswith((".", "/")):
        raise UserError(
            f"there is no checkpoint at {path}; name a run folder, a model folder, a file or a Hub id (owner/name)"
        )
    if not weights:
        return _in_folder(str(path), _download(str(path), [CONFIG]), [])
    folder = _download(str(path), [CONFIG, GENERATION, "*.safetensors", INDEX])
    if not (found := _weights_in(folder)):  # an older one has `.pth` only
        folder = _download(str(path), [CONFIG, "*.pth"])
        found = _weights_in(folder)
    if not found:
        raise UserError(
            f"{path} holds no weights ({', '.join(f'*{ending}' for ending in ENDINGS)}); name another checkpoint"
        )
    return _in_folder(str(path), folder, found)


def _beside(file: Path) -> Located:
    """A single file; its config stands beside it, or in the run folder that Lightning's checkpoint lies
    in.
    """
    if file.suffix not in ENDINGS:
        raise UserError(f"{file} is no weights file; name one that ends with {', '.join(ENDINGS)}")
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
    """The weights of a folder: those of the index, else the usual file, else the only one there is."""
    if (folder / INDEX).is_file():
        return [
            folder / name for name in sorted(set(read_json(folder / INDEX).get("weight_map", {}).values()))
        ]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    found = sorted(file for file in folder.iterdir() if file.suffix in ENDINGS)
    if len(found) > 1:
        raise UserError(
            f"{folder} holds several checkpoints: {', '.join(file.name for file in found)}; name one of the files"
        )
    return found


def _download(hub_id: str, patterns: list[str]) -> Path:
    """Fetch files of a checkpoint from the Hub into its cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{hub_id} is no folder here and cannot be had from the Hub ({type(error).__name__}); check name and network"
        ) from error
