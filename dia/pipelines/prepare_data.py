"""Prepare the data of any corpus: pairs of takes by `dia/pipelines/preferences`, others by `dia/data`."""

from pathlib import Path

from dia.codecs.protocol import Codec
from dia.config.data import PREFERENCES, DataConfig
from dia.config.engine import EngineConfig
from dia.data import prepare as clips
from dia.pipelines.preferences import prepare as pairs


def prepare(config: DataConfig, codec: Codec | None, engine: EngineConfig | None = None) -> Path:
    """Return the folder of the prepared data set; build it unless it exists.

    Raises :class:`UserError` as :func:`dia.data.prepare.prepare` and
    :func:`dia.pipelines.preferences.prepare.prepare` do.
    """
    if config.corpus == PREFERENCES:
        return pairs.prepare(config, codec, engine)
    return clips.prepare(config, codec, engine)


def folder_of_request(config: DataConfig, codec: Codec | None) -> Path:
    """Return the folder of a request's data set, whether it exists or not; raises as :func:`prepare`."""
    if config.corpus == PREFERENCES:
        return pairs.folder_of_request(config, codec)
    return clips.folder_of_request(config, codec)


def find_prepared(config: DataConfig, codec_name: str) -> list[Path]:
    """Return the existing data sets (none or one) of this request that a codec of this name tokenized.

    Pairs of takes are not looked for: their request depends on a checkpoint, which is not opened here.
    """
    return [] if config.corpus == PREFERENCES else clips.find_prepared(config, codec_name)


def missing_splits(config: DataConfig, needed: set[str]) -> list[str]:
    """Return which of the needed splits the source lacks, as far as it shows before it is read."""
    return [] if config.corpus == PREFERENCES else clips.missing_splits(config, needed)
