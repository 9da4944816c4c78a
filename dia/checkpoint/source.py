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
from typing import Any

from torch import Tensor

from dia.checkpoint import nari_layout, transformers_layout
from dia.checkpoint.files import read_json, read_tensors
from dia.checkpoint.hub import Selection
from dia.checkpoint.locate import Located, locate
from dia.config.config_json import from_config_json, from_nested_config, is_nested
from dia.config.sampling import Sampling
from dia.config.stored import read_run_group
from dia.dialogue.vocabulary import Vocabulary, read_vocabulary
from dia.errors import MissingFileError, UserError, one_line
from dia.network import DiaConfig

LIGHTNING_PREFIX = "network."
FIRST, SECOND = "first", "0626"
# The values that nari recommends for each generation. The first follows the release of 2025-04-22
# (nari-labs/dia 68b5852), 0626 the README of 2025-06-27 (65028e0). Between 2025-05-04 (4dcff1c) and then the
# repository also multiplied the logit of the EOS of channel 0 by 0.8; no preset does.
PRESETS: dict[str, dict[str, Any]] = {
    FIRST: {"cfg_scale": 3.0, "temperature": 1.3, "top_p": 0.95, "cfg_filter_top_k": 35, "draw_guided": True},
    SECOND: {"cfg_scale": 3.0, "temperature": 1.8, "top_p": 0.90, "cfg_filter_top_k": 45},
}
PRESET_RELEASES = {FIRST: "nari's release of 2025-04-22", SECOND: "nari's README of 0626"}
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
        sampling_source: Where the sampling values were read from, for messages.
        vocabulary: The words that it was trained on; None for an open vocabulary.
    """

    located: Located
    layout: str
    config: DiaConfig
    generation_source: str
    tensors: dict[str, Tensor]
    extra: dict[str, Any]
    sampling: dict[str, Any]
    sampling_source: str
    vocabulary: Vocabulary | None = None

    @property
    def generation(self) -> str:
        """The generation of Dia-1.6B that the checkpoint is like: ``first`` or ``0626``."""
        return FIRST if self.config.cross_rope else SECOND


def read_source(
    path: str | Path,
    cross_rope: bool | None = None,
    config_path: str | Path | None = None,
    selection: Selection = Selection(),
) -> Source:
    """Read a checkpoint of any layout.

    Args:
        path: A folder, a weights file, or a Hub id.
        cross_rope: Overrides the generation that follows from the config.
        config_path: A config.json that lies elsewhere.
        selection: The weights file of several; revision and access token of the Hub.

    Raises:
        UserError: When files are missing or damaged, or hold no Dia network.
    """
    located = locate(path, selection=selection)
    if config_path is not None:
        located = replace(located, config=_existing_config(Path(config_path)))
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
    extra = {key: value for key, value in own_values(content).items() if key != "cross_rope"}
    sampling, sampling_source = _sampling(located, content, config)
    return Source(
        located,
        layout.name,
        config,
        generation_source,
        _converted(layout, tensors, located),
        extra,
        sampling,
        sampling_source,
        read_vocabulary(located.vocabulary) if located.vocabulary else None,
    )


def read_config(path: str | Path) -> DiaConfig:
    """Return the shape of a checkpoint; weights are read only when there is no config.

    Raises :class:`UserError` as :func:`read_source` does.
    """
    return read_description(path)[0]


def read_description(
    path: str | Path, selection: Selection = Selection()
) -> tuple[DiaConfig, dict[str, Any]]:
    """Return the shape of a checkpoint, and what its config.json has under the key ``dia``.

    Weights are read only when there is no config. Raises :class:`UserError` as :func:`read_source` does.
    """
    located = locate(path, weights=False, selection=selection)
    if located.config is None:
        source = read_source(path, selection=selection)
        return source.config, source.extra
    content = _config_content(located)
    return _config(content, {}, None, located)[0], own_values(content)


def to_our_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of any layout under our names; those of an unknown layout are returned unchanged."""
    layout = next((layout for layout in LAYOUTS if layout.mark in tensors), None)
    return tensors if layout is None else layout.to_ours(tensors)


def _existing_config(path: Path) -> Path:
    if not path.is_file():
        raise MissingFileError(f"there is no config at {path}; check the path")
    return path


def _converted(layout: Layout, tensors: dict[str, Tensor], located: Located) -> dict[str, Tensor]:
    try:
        return layout.to_ours(tensors)
    except (RuntimeError, IndexError, ValueError) as error:
        raise UserError(
            f"the weights in {located.path} are not those of a Dia network ({one_line(error)}); copy it again"
        ) from error


def own_values(content: dict[str, Any]) -> dict[str, Any]:
    """Return the values under the key ``dia``, which only this package writes."""
    values = content.get("dia", {})
    return values if isinstance(values, dict) else {}


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
    """Return the config and where its generation was read from. Raises :class:`UserError`."""
    config, where = _stated_config(content, tensors, layout, located)
    if problems := config.problems():
        raise UserError(
            f"{located.config or located.path} is not a Dia config: {'; '.join(problems)}; download it again"
        )
    return config, where


def _stated_config(
    content: dict[str, Any], tensors: dict[str, Tensor], layout: Layout | None, located: Located
) -> tuple[DiaConfig, str]:
    try:
        if located.config is not None and located.config.suffix == ".yaml":
            return read_run_group(located.config, "model", DiaConfig), "the run's config.yaml"
        if is_nested(content):
            return from_nested_config(content), "the nested config.json"
        if content:
            where = "cross_rope in config.json" if "dia" in content else "the flat config.json"
            return from_config_json(content), where
        if layout is not None and layout.name == "nari":
            return nari_layout.config_of_nari_tensors(tensors), "an assumption: there is no config.json"
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise UserError(
            f"{located.config or located.path} is not a Dia config: {error!r}; download it again"
        ) from error
    raise UserError(f"{located.path} has no config.json beside it; copy it there")


def _sampling(located: Located, content: dict[str, Any], config: DiaConfig) -> tuple[dict[str, Any], str]:
    """Return the checkpoint's sampling values, or its generation's where the file has converter defaults."""
    generation = FIRST if config.cross_rope else SECOND
    stored = read_json(located.generation) if located.generation else {}
    stated = transformers_layout.sampling_of(stored)
    ours = {name: value for name, value in stated.items() if value is not None or name == "cfg_filter_top_k"}
    _require_numbers(ours, located)
    preset = {**PRESETS[generation], **_extra_sampling(content, located)}
    values = {**preset, **ours}
    chosen = {name: values[name] for name in DEFAULT_SAMPLING}
    if not ours or (chosen == DEFAULT_SAMPLING and "dia" not in content):
        return preset, PRESET_RELEASES[generation]
    return values, "generation_config.json"


def _extra_sampling(content: dict[str, Any], located: Located) -> dict[str, Any]:
    """Return the values that generation_config.json cannot hold; raises :class:`UserError` for other keys."""
    extra = own_values(content).get("sampling", {})
    known = vars(Sampling())
    if not isinstance(extra, dict) or not all(
        name in known and isinstance(value, int | float | None) for name, value in extra.items()
    ):
        raise UserError(
            f"{located.config} has sampling values that are unknown or no numbers under the key dia; copy "
            "it again"
        )
    _require_numbers(extra, located)
    return extra


def preset_of(config: DiaConfig) -> dict[str, Any]:
    """Return the sampling values that nari recommends for a network's generation."""
    return dict(PRESETS[FIRST if config.cross_rope else SECOND])


def _require_numbers(values: dict[str, Any], located: Located) -> None:
    """Raise :class:`UserError` unless all values are finite numbers, flags, or None."""
    wrong = [name for name, value in values.items() if not _is_number(value)]
    if wrong:
        listed = ", ".join(f"{name}={values[name]!r}" for name in wrong)
        raise UserError(
            f"{located.generation or located.config} has {listed}, which are no numbers; download it again"
        )


def _is_number(value: Any) -> bool:
    """Whether a sampling value is a finite number, a flag, or None, which turns a filter off."""
    return value is None or (isinstance(value, int | float) and -1e9 < value < 1e9)
