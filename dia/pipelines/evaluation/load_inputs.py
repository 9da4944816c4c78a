"""What an evaluation opens: the checkpoint, and the data of the run that made it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from datasets import Dataset
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dia.config.data import DataConfig
from dia.config.eval import EvalConfig
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.errors import UserError, one_line
from dia.home import existing
from dia.model import Dia


@dataclass(frozen=True)
class Opened:
    """The checkpoint (None: only recorded systems are scored), the splits of prepared data, where a suite
    needs them, and the checkpoint that was before it, if one is asked for.
    """

    dia: Dia | None
    splits: Mapping[str, Dataset] | None
    before: Dia | None = None


def load_inputs(config: EvalConfig, needs_data: bool) -> Opened:
    """Open. Data is made only for suites that speak a split; for others it is used where the run already has
    it.

    Raises :class:`UserError` as its parts do.
    """
    if not config.ckpt:
        if config.baseline:
            raise UserError(f"baseline={config.baseline} is scored beside a checkpoint; give ckpt=... too")
        return Opened(None, None)
    dia, before = (
        _checkpoint(config, config.ckpt),
        _checkpoint(config, config.baseline) if config.baseline else None,
    )
    recorded = existing(config.ckpt) / "config.yaml"
    if not needs_data and not recorded.is_file():
        return Opened(dia, None, before)
    return Opened(dia, open_prepared(prepare(_data_config(config, recorded), dia.codec)), before)


def _checkpoint(config: EvalConfig, name: str) -> Dia:
    dia = Dia.from_pretrained(name, codec=config.codec.name or None, quantization=config.quantization)
    dia.sampling(**asdict(config.sampling))
    return dia


def _data_config(config: EvalConfig, recorded: Path) -> DataConfig:
    """The data of the run that is evaluated, so that its own test split is spoken; else what the command line
    says.
    """
    if not recorded.is_file():
        return config.data
    try:
        merged = OmegaConf.merge(OmegaConf.structured(DataConfig), OmegaConf.load(recorded).data)
    except OmegaConfBaseException as error:
        raise UserError(f"{recorded} holds no data config of this version: {one_line(error)}") from error
    return cast(DataConfig, OmegaConf.to_object(merged))
