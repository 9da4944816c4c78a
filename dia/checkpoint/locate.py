"""Find the files of a checkpoint: in a model folder, a run folder, beside a weights file, or on the Hub."""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dia.checkpoint.files import read_json
from dia.checkpoint.hub import Repository, Selection
from dia.checkpoint.names import CONFIG, GENERATION, INDEX, VOCABULARY, choose_weights
from dia.config.hub import WEIGHTS_ENDINGS, HubPath, parse_hub_path
from dia.errors import MissingFileError, UnavailableError, UserError
from dia.files import inside
from dia.home import existing
from dia.resources import SHIPPED_CHECKPOINTS, shipped_model

RUN_CONFIG = "config.yaml"
SHARDS = "shards.json"  # of a training checkpoint in shards (dia/training/shards.py)
PICKLED_SHARDS = ".metadata"  # of one that an earlier version wrote


@dataclass(frozen=True)
class Located:
    """The files of a checkpoint.

    Attributes:
        path: The path or Hub id that was given.
        config: config.json, or for a Lightning checkpoint the config.yaml of its run; None without one.
        generation: generation_config.json; None without one.
        weights: Weights files.
        vocabulary: vocabulary.txt; None for a model of open vocabulary.
    """

    path: str
    config: Path | None
    generation: Path | None
    weights: list[Path]
    vocabulary: Path | None = None


def resolve_checkpoint(name: str) -> str | Path:
    """Return the folder of a shipped model, or ``name`` itself when it is a path or a Hub id."""
    return shipped_model(name) if name in SHIPPED_CHECKPOINTS else name


def locate(path: str | Path, weights: bool = True, selection: Selection = Selection()) -> Located:
    """Find the files of a checkpoint.

    Args:
        path: A weights file, a model folder, a run folder (its subfolder `model`), or a name on the Hub
            (:func:`dia.config.hub.parse_hub_path`).
        weights: Whether the weights are needed; otherwise only the config is downloaded from the Hub.
        selection: The weights file of several; revision and access token of the Hub.

    Raises:
        MissingFileError: When there is no such file or folder.
        UnavailableError: When a folder holds no checkpoint, and as :mod:`dia.checkpoint.hub` does.
        UserError: When several checkpoints are possible.
    """
    here = existing(path)
    if here.is_file():
        return _beside(here)
    if any((here / name).is_file() for name in (SHARDS, PICKLED_SHARDS)):
        raise UserError(
            f"{here} is a sharded checkpoint; convert it to a model with python -m dia.weights consolidate "
            "RUN "
            "out=FOLDER"
        )
    if here.is_dir():
        return _in_directory(str(path), here, selection.file)
    hub = parse_hub_path(str(path))
    if hub is None:
        raise MissingFileError(
            f"there is no checkpoint at {path}; give a run folder, a model folder, a file or a Hub id "
            "(owner/name, owner/name@revision or owner/name/file.safetensors)"
        )
    return _on_hub(str(path), hub, selection, weights=weights)


def _in_directory(path: str, here: Path, file: str | None) -> Located:
    """Return the checkpoint in a folder or in its subfolder `model`; ``file`` names one of several."""
    folders = [folder for folder in (here, here / "model") if folder.is_dir()]
    if file is not None:
        _require_inside(file, str(here))
        for folder in folders:
            if (folder / file).is_file():
                return _beside(folder / file)
        raise MissingFileError(f"there is no file {file} in {here}; check file=...")
    for folder in folders:
        if files := _weights_in(folder):
            return _in_folder(path, folder, files)
    raise UnavailableError(
        f"{here} holds no checkpoint, nor does its subfolder `model`; give a run folder, a model "
        "folder or a "
        "weights file"
    )


def _on_hub(path: str, hub: HubPath, selection: Selection, *, weights: bool) -> Located:
    if selection.file is not None:
        _require_inside(selection.file, hub.repository)
    chosen = replace(hub, file=selection.file or hub.file, revision=selection.revision or hub.revision)
    folder, files = Repository(chosen, selection.token).download(weights=weights)
    return _in_folder(path, folder, files)


def _require_inside(file: str, owner: str) -> None:
    parts = PurePosixPath(file)
    if parts.is_absolute() or ".." in parts.parts or parts.suffix not in WEIGHTS_ENDINGS:
        raise UserError(
            f"file={file} must name a weights file inside {owner}, ending with {', '.join(WEIGHTS_ENDINGS)}"
        )


def _beside(file: Path) -> Located:
    """Return a single file with the config beside it, or that of the run a Lightning checkpoint lies in."""
    if file.suffix not in WEIGHTS_ENDINGS:
        raise UserError(f"{file} is no weights file; give one that ends with {', '.join(WEIGHTS_ENDINGS)}")
    config = next(
        (
            place
            for place in (file.parent / CONFIG, file.absolute().parents[1] / RUN_CONFIG)
            if place.is_file()
        ),
        None,
    )
    generation, vocabulary = (_if_file(file.parent / name) for name in (GENERATION, VOCABULARY))
    return Located(str(file), config, generation, [file], vocabulary)


def _in_folder(path: str, folder: Path, weights: list[Path]) -> Located:
    config, generation, vocabulary = (_if_file(folder / name) for name in (CONFIG, GENERATION, VOCABULARY))
    return Located(path, config, generation, weights, vocabulary)


def _if_file(path: Path) -> Path | None:
    return path if path.is_file() else None


def _weights_in(folder: Path) -> list[Path]:
    """Return the weights of a folder: those in the index, else the chosen file; none without any."""
    chosen = choose_weights((file.name for file in folder.iterdir() if file.is_file()), str(folder))
    if chosen == INDEX:
        return _indexed(folder)
    return [] if chosen is None else [folder / chosen]


def _indexed(folder: Path) -> list[Path]:
    """Return the weights files in the index of a folder. Raises :class:`UserError` for names outside of
    it."""
    index = folder / INDEX
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise UserError(f"{index} has no weight_map; copy or download it again")
    paths = [inside(folder, name, str(index), "download it again") for name in names.values()]
    return sorted(set(paths))
