"""Architecture of a Dia network: encoder, decoder and the delay of each codec channel.

The defaults are Dia-1.6B (nari-labs/dia `dia/config.py` at 0626, transformers' DiaConfig).
"""

from dataclasses import asdict, dataclass, field

LARGEST = {  # a config may come from outside: sizes are checked before memory is taken; Dia-1.6B is far below
    "layers": 256,
    "hidden_size": 1 << 18,
    "intermediate_size": 1 << 20,
    "heads": 1 << 12,
    "key_value_heads": 1 << 12,
    "head_dim": 1 << 14,
    "cross_heads": 1 << 12,
    "cross_head_dim": 1 << 14,
    "vocab_size": 1 << 20,
    "codebook_size": 1 << 20,
    "max_positions": 1 << 17,
}
MAX_CHANNELS = 64
DIA_DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)  # steps, by codec channel


@dataclass
class EncoderConfig:
    """The text encoder, a Transformer over the bytes of the script."""

    layers: int = 12
    """Number of Transformer layers."""
    hidden_size: int = 1024
    """Features of the residual stream."""
    intermediate_size: int = 4096
    """Features inside the feed-forward part of a layer."""
    heads: int = 16
    """Number of attention heads."""
    head_dim: int = 128
    """Features of one attention head; even, because of rotary positions."""
    vocab_size: int = 256
    """Number of text symbols: one for each byte value."""
    max_positions: int = 1024
    """Longest script in bytes."""


@dataclass
class DecoderConfig:
    """The audio decoder, which predicts the next code of every codec channel."""

    layers: int = 18
    """Number of Transformer layers."""
    hidden_size: int = 2048
    """Features of the residual stream."""
    intermediate_size: int = 8192
    """Features inside the feed-forward part of a layer."""
    heads: int = 16
    """Number of query heads of self-attention."""
    key_value_heads: int = 4
    """Number of key and value heads of self-attention; it divides ``heads``."""
    head_dim: int = 128
    """Features of one head of self-attention; even, because of rotary positions."""
    cross_heads: int = 16
    """Number of heads of cross-attention."""
    cross_head_dim: int = 128
    """Features of one head of cross-attention; even, because of rotary positions."""
    codebook_size: int = 1024
    """Codes per channel of the codec. The ids of EOS, PAD and BOS follow them."""
    max_positions: int = 3072
    """Longest sequence in decoder steps."""

    @property
    def eos(self) -> int:
        """Id that ends a channel."""
        return self.codebook_size

    @property
    def pad(self) -> int:
        """Id of padding after the end."""
        return self.codebook_size + 1

    @property
    def bos(self) -> int:
        """Id before a channel's first code."""
        return self.codebook_size + 2

    @property
    def vocab_size(self) -> int:
        """Ids per channel: the codes, EOS, PAD, BOS and an unused one, as in Dia-1.6B (1,028)."""
        return self.codebook_size + 4


@dataclass
class DiaConfig:
    """Shape of a Dia network."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    delays: list[int] = field(default_factory=lambda: list(DIA_DELAYS))
    """Delay of each codec channel in decoder steps; the first is 0 and none is below the one before."""
    cross_rope: bool = False
    """Apply rotary positions to cross-attention: true for the first Dia-1.6B checkpoint, false for 0626 and
    everything trained here. The tensors have the same shapes either way, so a wrong value gives bad audio and
    no error."""
    norm_epsilon: float = 1e-5
    """Epsilon of RMSNorm."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies."""

    @property
    def channels(self) -> int:
        """Number of codec channels."""
        return len(self.delays)

    @property
    def max_frames(self) -> int:
        """Longest clip in codec frames: the positions without BOS, EOS and the delayed tail."""
        return self.decoder.max_positions - 2 - max(self.delays, default=0)

    def steps_for(self, frames: int) -> int:
        """Return the decoder steps that generate so many codec frames: BOS, the frames, the delayed tail."""
        return 1 + frames + max(self.delays, default=0)

    def problems(self) -> list[str]:
        """Return why no network can have this shape, one sentence per problem."""
        sizes = {
            f"{part}.{name}": size
            for part in ("encoder", "decoder")
            for name, size in asdict(getattr(self, part)).items()
        }
        if problems := [*_size_problems(sizes), *self._value_problems()]:
            return problems
        if self.delays[:1] != [0] or self.delays != sorted(self.delays):
            problems.append(
                f"delays={self.delays} must begin with 0 and not fall; Dia-1.6B has {list(DIA_DELAYS)}"
            )
        if self.decoder.heads % self.decoder.key_value_heads:
            problems.append(
                f"decoder.heads={self.decoder.heads} is not a multiple of "
                f"decoder.key_value_heads={self.decoder.key_value_heads}; choose a divisor"
            )
        for name, size in sizes.items():
            if name.endswith("head_dim") and size % 2:
                problems.append(f"{name}={size} is odd; rotary positions need an even number")
        if self.max_frames < 1:
            problems.append(
                f"decoder.max_positions={self.decoder.max_positions} leaves no room for a clip; raise it"
            )
        return problems

    def _value_problems(self) -> list[str]:
        """Return which values that are no sizes are of a wrong type or out of range."""
        problems = []
        if not all(type(delay) is int for delay in self.delays) or len(self.delays) > MAX_CHANNELS:
            problems.append(
                f"delays must be at most {MAX_CHANNELS} whole numbers; Dia-1.6B has {list(DIA_DELAYS)}"
            )
        if type(self.cross_rope) is not bool:
            problems.append(f"cross_rope={self.cross_rope!r} must be true or false")
        for name in ("norm_epsilon", "rope_theta"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value < float("inf"):
                problems.append(f"{name}={value!r} must be a number above 0")
        return problems


def _size_problems(sizes: dict[str, object]) -> list[str]:
    problems = []
    for name, size in sizes.items():
        largest = LARGEST[name.rpartition(".")[2]]
        if not isinstance(size, int) or isinstance(size, bool):
            problems.append(f"{name}={size!r} must be a whole number")
        elif size < 1:
            problems.append(f"{name}={size} must be 1 or more")
        elif size > largest:
            problems.append(f"{name}={size} must be {largest:,} or less")
    return problems
