"""Read Dia checkpoints of any layout (nari, transformers, Lightning, ours) under one set of tensor names.

The layout is recognized by tensor names, because one Hub id may serve two layouts. The generation of a
checkpoint cannot be recognized by its tensors: the first one rotates cross-attention, 0626 does not, and a
wrong choice loads without an error and gives bad audio. It follows from the format of the config, or from the
caller.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from dia.checkpoint import nari_layout, transformers_layout
from dia.checkpoint.files import read_json, read_tensors
from dia.checkpoint.locate import Located, locate
from dia.errors import UserError, one_line
from dia.network import DiaConfig

LIGHTNING_PREFIX = "network."
FIRST, SECOND = "first", "0626"
# what nari recommends for each generation (README of the release, and of 0626)
PRESETS: dict[str, dict[str, Any]] = {
    FIRST: {"cfg_scale": 3.0, "temperature": 1.3, "top_p": 0.95, "cfg_filter_top_k": 35, "draw_guided": True},
    SECOND: {"cfg_scale": 3.0, "temperature": 1.8, "top_p": 0.90, "cfg_filter_top_k": 45},
}
# the defaults of nari's signature, which transformers' converter writes for checkpoints of any generation
DEFAULT_SAMPLING = {"cfg_scale": 3.0, "temperature": 1.2, "top_p": 0.95, "cfg_filter_top_k": 45}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """A naming scheme of tensors: a name that only this layout has, and the conversion to our names."""

    name: str
    mark: str
    to_ours: Callable[[dict[str, Tensor]], dict[str, Tensor]]


LAYOUTS = (
    Layout("nari", "encoder.layers.0.mlp.wi_fused.weight", nari_layout.from_nari_tensors),
    Layout(
        "transformers", "model.encoder.layers.0.mlp.gate_up_proj.weight", transformers_layout.from_tensors
    ),
    Layout(
        "lightning",
        LIGHTNING_PREFIX + "encoder.layers.0.mlp.gate_up_proj.weight",
        lambda tensors: {
            name.removeprefix(LIGHTNING_PREFIX): tensor
            for name, tensor in tensors.items()
            if name.startswith(LIGHTNING_PREFIX)
        },
    ),
    Layout("plain", "encoder.layers.0.mlp.gate_up_proj.weight", dict),
)


@dataclass(frozen=True)
class Source:
    """The content of a checkpoint.

    Attributes:
        located: Paths of its files.
        layout: Name of its layout.
        config: Shape of the network.
        generation_source: Where the generation was read from, for messages.
        tensors: Tensors under our names, in their own types.
        extra: Values under the key ``dia`` of config.json, such as the codec.
        sampling: Sampling values by name.
    """

    located: Located
    layout: str
    config: DiaConfig
    generation_source: str
    tensors: dict[str, Tensor]
    extra: dict[str, Any]
    sampling: dict[str, Any]

    @property
    def generation(self) -> str:
        """The generation of Dia-1.6B that the checkpoint is like: ``first`` or ``0626``."""
        return FIRST if self.config.cross_rope else SECOND


def read_source(
    path: str | Path, cross_rope: bool | None = None, config_path: str | Path | None = None
) -> Source:
    """Read a checkpoint of any layout.

    Args:
        path: A folder, a weights file, or a Hub id.
        cross_rope: Overrides the generation that follows from the config.
        config_path: A config.json that lies elsewhere.

    Raises:
        UserError: When files are missing or damaged, or hold no Dia network.
    """
    located = locate(path) if config_path is None else replace(locate(path), config=Path(config_path))
    tensors = read_tensors(located.weights)
    layout = _layout(tensors, located)
    content = _config_content(located)
    config, generation_source = _config(content, tensors, layout, located)
    if cross_rope is not None:
        config, generation_source = replace(config, cross_rope=cross_rope), f"cross_rope={cross_rope}"
    elif not content and layout.name == "nari":
        logger.warning(
            "%s has no config, so its generation is unknown; assuming the first (cross_rope=False is 0626)",
            located.path,
        )
    extra = {key: value for key, value in content.get("dia", {}).items() if key != "cross_rope"}
    return Source(
        located,
        layout.name,
        config,
        generation_source,
        layout.to_ours(tensors),
        extra,
        _sampling(located, content, config),
    )


def read_config(path: str | Path) -> DiaConfig:
    """Return the shape of a checkpoint; weights are read only when there is no config.

    Raises :class:`UserError` as :func:`read_source` does.
    """
    located = locate(path, weights=False)
    if located.config is None:
        return read_source(path).config
    return _config(_config_content(located), {}, None, located)[0]


def _layout(tensors: dict[str, Tensor], located: Located) -> Layout:
    for layout in LAYOUTS:
        if layout.mark in tensors:
            return layout
    some = ", ".join(sorted(tensors)[:3])
    raise UserError(
        f"{located.path} holds no Dia network: {len(tensors)} tensors such as {some}; give a Dia checkpoint"
    )


def _config_content(located: Located) -> dict[str, Any]:
    if located.config is None or located.config.suffix == ".yaml":
        return {}
    return read_json(located.config)


def _config(
    content: dict[str, Any], tensors: dict[str, Tensor], layout: Layout | None, located: Located
) -> tuple[DiaConfig, str]:
    """Return the config and where its generation was read from."""
    try:
        if located.config is not None and located.config.suffix == ".yaml":
            return _run_config(located.config), "the run's config.yaml"
        if nari_layout.is_nested(content):
            return nari_layout.from_nested_config(content), "the nested config.json"
        if content:
            where = "cross_rope in config.json" if "dia" in content else "the flat config.json"
            return transformers_layout.from_config_json(content), where
        if layout is not None and layout.name == "nari":
            return nari_layout.config_of_nari_tensors(tensors), "an assumption: there is no config.json"
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{located.config or located.path} is not a Dia config: {error!r}; download it again"
        ) from error
    raise UserError(f"{located.path} has no config.json beside it; copy it there")


def _run_config(path: Path) -> DiaConfig:
    try:
        return cast(
            DiaConfig,
            OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DiaConfig), OmegaConf.load(path).model)),
        )
    except (OmegaConfBaseException, OSError) as error:
        raise UserError(
            f"{path} holds no valid model config ({one_line(error)}); restore the file that training wrote"
        ) from error


def _sampling(located: Located, content: dict[str, Any], config: DiaConfig) -> dict[str, Any]:
    """Return the checkpoint's sampling values, or its generation's where the file has converter defaults."""
    preset = PRESETS[FIRST if config.cross_rope else SECOND]
    stored = read_json(located.generation) if located.generation else {}
    values = {**preset, **transformers_layout.sampling_of(stored)}
    chosen = {name: values[name] for name in DEFAULT_SAMPLING}
    return preset if chosen == DEFAULT_SAMPLING and "dia" not in content else values
