"""Publish a checkpoint or a data set: first the complete folder, then its upload to a named repository."""

from pathlib import Path

from dia.config.publishing import PushConfig, PushDataConfig, PushModelConfig
from dia.errors import UserError
from dia.home import existing, in_home
from dia.publishing.hub import upload

FOLDER = "hub"  # below DIA_HOME


def push_model(config: PushModelConfig) -> None:
    """Write the folder of a checkpoint and upload it; print where it is.

    Raises:
        UserError: As :func:`dia.publishing.model_folder.write_model_folder` and :func:`upload` do, and for
            ``to`` that exists.
    """
    from dia.publishing.model_folder import write_model_folder

    folder = _target(config)
    write_model_folder(config, folder)
    _finish(config, folder, "model")


def push_data(config: PushDataConfig) -> None:
    """Write the folder of a prepared data set and upload it; print where it is. Raises as
    :func:`push_model` does."""
    from dia.publishing.data_folder import write_data_folder

    folder = _target(config)
    write_data_folder(config, existing(config.path), folder)
    _finish(config, folder, "dataset")


def _target(config: PushConfig) -> Path:
    """Return the folder to write. Raises :class:`UserError` where the named one exists."""
    if not config.to:
        name = config.repo.replace("/", "--") or existing(config.path).resolve().name
        return in_home(FOLDER) / name
    folder = Path(config.to)
    if folder.exists():
        raise UserError(f"to={config.to} exists; name a folder that does not exist")
    return folder


def _finish(config: PushConfig, folder: Path, kind: str) -> None:
    print(f"wrote {folder}")
    if config.repo:
        print(f"uploaded: {upload(folder, config.repo, kind, private=config.private)}")
    else:
        print("no repository was named: repo=owner/name uploads the folder to the Hub")
