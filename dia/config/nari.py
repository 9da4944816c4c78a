"""The configuration classes of nari-labs/dia (`dia/config.py` of 0626), for programs written for it.

The fields and their defaults are nari's. :func:`DiaConfig.load` also reads the nested format of the first
release. The rest of this package uses :mod:`dia.config.model`.
"""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dia.config import model
from dia.config.config_json import from_config_json, from_nested_config, is_nested, to_config_json
from dia.errors import UserError
from dia.files import write_text


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The text encoder."""

    head_dim: int = 128
    hidden_act: str = "silu"
    hidden_size: int = 1024
    initializer_range: float = 0.02
    intermediate_size: int = 4096
    max_position_embeddings: int = 1024
    model_type: str = "dia_encoder"
    norm_eps: float = 1e-5
    num_attention_heads: int = 16
    num_hidden_layers: int = 12
    num_key_value_heads: int = 16
    rope_scaling: float | None = None
    rope_theta: float = 10_000.0
    vocab_size: int = 256


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The audio decoder."""

    cross_head_dim: int = 128
    cross_hidden_size: int = 1024
    cross_num_attention_heads: int = 16
    cross_num_key_value_heads: int = 16
    head_dim: int = 128
    hidden_act: str = "silu"
    hidden_size: int = 2048
    initializer_range: float = 0.02
    intermediate_size: int = 8192
    max_position_embeddings: int = 3072
    model_type: str = "dia_decoder"
    norm_eps: float = 1e-5
    num_attention_heads: int = 16
    num_channels: int = 9
    num_hidden_layers: int = 18
    num_key_value_heads: int = 4
    rope_scaling: float | None = None
    rope_theta: float = 10_000.0
    vocab_size: int = 1028


@dataclass(frozen=True, kw_only=True)
class DiaConfig:
    """A Dia model; instances cannot be changed.

    ``cross_rope`` is not nari's: true for the first generation (:class:`dia.config.model.DiaConfig`).
    """

    architectures: list[str] = field(default_factory=lambda: ["DiaForConditionalGeneration"])
    bos_token_id: int = 1026
    decoder_config: DecoderConfig = field(default_factory=DecoderConfig)
    delay_pattern: list[int] = field(default_factory=lambda: list(model.DIA_DELAYS))
    encoder_config: EncoderConfig = field(default_factory=EncoderConfig)
    eos_token_id: int = 1024
    initializer_range: float = 0.02
    is_encoder_decoder: bool = True
    model_type: str = "dia"
    norm_eps: float = 1e-5
    pad_token_id: int = 1025
    torch_dtype: str = "float32"
    transformers_version: str = "4.53.0.dev0"
    cross_rope: bool = False

    @classmethod
    def load(cls, path: str | Path) -> "DiaConfig | None":
        """Return the config in a config.json, flat or nested; None when there is no such file.

        Raises:
            UserError: When the file holds no Dia config.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            config = from_nested_config(content) if is_nested(content) else from_config_json(content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a Dia config: {error!r}; download it again") from error
        return cls.of(config)

    def save(self, path: str | Path) -> None:
        """Write the config as a flat config.json, and create its folder. Raises ``OSError``."""
        os.makedirs(Path(path).parent, exist_ok=True)
        write_text(Path(path), self.model_dump_json(indent=2) + "\n")

    def model_dump(self) -> dict[str, Any]:
        """Return the fields by name, those of encoder and decoder as dictionaries."""
        return asdict(self)

    def model_dump_json(self, indent: int | None = None) -> str:
        """Return the fields as JSON; ``cross_rope`` is under the key ``dia``, which nari ignores."""
        content = asdict(self)
        cross_rope = content.pop("cross_rope")
        return json.dumps({**content, "dia": {"cross_rope": cross_rope}}, indent=indent)

    @classmethod
    def of(cls, config: model.DiaConfig) -> "DiaConfig":
        """Return nari's description of a network."""
        content, rope_theta = to_config_json(config, {}), config.rope_theta
        encoder = _fields_of(EncoderConfig, content["encoder_config"])
        decoder = _fields_of(DecoderConfig, content["decoder_config"])
        return cls(
            encoder_config=EncoderConfig(**encoder, rope_theta=rope_theta),
            decoder_config=DecoderConfig(**decoder, rope_theta=rope_theta),
            bos_token_id=config.decoder.bos,
            eos_token_id=config.decoder.eos,
            pad_token_id=config.decoder.pad,
            delay_pattern=list(config.delays),
            norm_eps=config.norm_epsilon,
            cross_rope=config.cross_rope,
        )

    def shape(self) -> model.DiaConfig:
        """Return the shape of the network that the config describes."""
        return from_config_json({**asdict(self), "dia": {"cross_rope": self.cross_rope}})


def _fields_of(part: type[EncoderConfig] | type[DecoderConfig], content: dict[str, Any]) -> dict[str, Any]:
    """Return what a part of a config.json says of the part's fields."""
    return {item.name: content[item.name] for item in fields(part) if item.name in content}
