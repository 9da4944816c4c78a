"""The head of a detector of nonverbal sounds: a small convolutional network over frozen features.

Legend: B batch, T frames, F features, W width, S tags.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dia.documents import read_json
from dia.errors import UserError, one_line
from dia.files import atomic_write, write_text
from dia.tensor_files import read_safetensors

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = "event_head"
KERNEL = 9  # frames that one block reads: .36 s
MOST_WEIGHTS = 50_000_000


@dataclass(frozen=True)
class EventHeadConfig:
    """Shape of a head, the tags it detects, and the models whose features it reads (SHA-256 by name)."""

    tags: tuple[str, ...]
    encoder_features: int = 384
    classes: int = 521
    width: int = 96
    layers: int = 3
    dropout: float = 0.2
    sources: dict[str, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Return what is wrong with these values, a sentence each."""
        numbers = (self.encoder_features, self.classes, self.width, self.layers)
        if not self.tags or not all(isinstance(tag, str) for tag in self.tags):
            return ["it names no tags"]
        if not all(isinstance(number, int) and 0 < number <= 1 << 13 for number in numbers):
            return ["its sizes are not positive integers up to 8,192"]
        if self.width * (self.encoder_features + self.classes + 3 * self.width * self.layers) > MOST_WEIGHTS:
            return ["its sizes are those of no head"]
        return []


class EventHead(nn.Module):
    """Logits of each tag in each frame."""

    def __init__(self, config: EventHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder_norm = nn.LayerNorm(config.encoder_features)
        self.class_norm = nn.LayerNorm(config.classes)
        self.encoder_input = nn.Linear(config.encoder_features, config.width)
        self.class_input = nn.Linear(config.classes, config.width)
        self.blocks = nn.ModuleList(_Block(config.width, config.dropout) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.width, len(config.tags))

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return logits (B, T, S) of features (B, T, F)."""
        encoded, classes = features_BTF.split([self.config.encoder_features, self.config.classes], dim=-1)
        hidden_BTW = self.encoder_input(self.dropout(self.encoder_norm(encoded)))
        hidden_BTW = hidden_BTW + self.class_input(self.dropout(self.class_norm(classes)))
        for block in self.blocks:
            hidden_BTW = block(hidden_BTW)
        logits_BTS: Tensor = self.output(F.gelu(hidden_BTW))
        return logits_BTS


class _Block(nn.Module):
    """A residual block: a convolution over time in each feature, then two layers over the features."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.over_time = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, hidden_BTW: Tensor) -> Tensor:
        """Return hidden states (B, T, W)."""
        mixed_BTW = self.over_time(hidden_BTW.transpose(1, 2)).transpose(1, 2)
        result_BTW: Tensor = hidden_BTW + self.layers(self.norm(mixed_BTW))
        return result_BTW


def save_head(head: EventHead, folder: Path) -> None:
    """Write the config and the weights of a head; the folder exists."""
    with atomic_write(folder / WEIGHTS) as path:
        save_file({name: tensor.contiguous() for name, tensor in head.state_dict().items()}, path)
    content = {"format": FORMAT} | asdict(head.config)
    write_text(folder / CONFIG, json.dumps(content, indent=2) + "\n")


def load_head(folder: Path) -> EventHead:
    """Return the head in a folder, for inference.

    Raises:
        UserError: When the folder holds no head, or weights of another shape.
    """
    try:
        content = read_json(folder / CONFIG)
        if content.pop("format", None) != FORMAT:
            raise ValueError("config.json is of something else")
        config = EventHeadConfig(**content | {"tags": tuple(content["tags"])})
        if problems := config.problems():
            raise ValueError("; ".join(problems))
        head = EventHead(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} is no detector of nonverbal sounds ({one_line(error)}); name the folder `model` of a "
            "run of +recipe=event_detector"
        ) from error
    try:
        head.load_state_dict(read_safetensors(folder / WEIGHTS))
    except RuntimeError as error:  # names or shapes
        raise UserError(
            f"{folder / WEIGHTS} does not fit {CONFIG} beside it ({one_line(error)}); copy both again"
        ) from error
    return head.eval()
