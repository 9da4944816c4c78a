"""Dia's decoder: delayed codec channels, summed into one sequence, attending to the text.

Two ways through the same layers: ``forward`` for whole sequences (training), ``step`` for what is new (generation).

Legend: B batch, T audio step, S text byte, C codec channel, V ids per channel, D width.
"""

from typing import cast

import torch
from torch import Tensor, nn

from dia.network.cache import DecoderCache, LayerCache
from dia.network.config import DiaConfig
from dia.network.layers import Attention, GatedSiLU, RMSNorm, rotary_angles, rotate

Angles = tuple[Tensor, Tensor]


class ChannelEmbedding(nn.Module):
    """One table for all channels; a step's feature is the sum over its channels."""

    def __init__(self, channels: int, vocabulary: int, width: int) -> None:
        super().__init__()
        self.channels, self.vocabulary = channels, vocabulary
        self.embed = nn.Embedding(channels * vocabulary, width)

    def forward(self, tokens_BTC: Tensor) -> Tensor:
        """Return features (B, T, D)."""
        offsets_C = torch.arange(self.channels, device=tokens_BTC.device) * self.vocabulary
        summed: Tensor = self.embed(tokens_BTC + offsets_C).sum(dim=2)
        return summed


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the text and feed-forward, each behind its norm."""

    def __init__(self, config: DiaConfig) -> None:
        super().__init__()
        size, self.cross_rope = config.decoder, config.cross_rope
        self.pre_sa_norm = RMSNorm(size.width, config.norm_epsilon)
        self.self_attention = Attention(size.width, size.width, size.heads, size.key_value_heads, size.head_width)
        self.pre_ca_norm = RMSNorm(size.width, config.norm_epsilon)
        self.cross_attention = Attention(
            size.width, config.encoder.width, size.cross_heads, size.cross_heads, size.cross_head_width
        )
        self.pre_mlp_norm = RMSNorm(size.width, config.norm_epsilon)
        self.mlp = GatedSiLU(size.width, size.inner_width)

    def memory(self, memory_BSD: Tensor, angles: Angles) -> tuple[Tensor, Tensor]:
        """Return cross-attention's keys and values of the text; ``angles`` turn the keys where the checkpoint wants it."""
        keys, values = self.cross_attention.keys_values(memory_BSD)
        return (rotate(keys, angles) if self.cross_rope else keys), values

    def forward(
        self,
        x_BTD: Tensor,
        angles: Angles,
        cross_angles: Angles,
        memory: tuple[Tensor, Tensor],
        memory_mask_B11S: Tensor,
        cache: LayerCache | None,
        at: int,
    ) -> Tensor:
        """Return features of the same shape; with a cache, the steps stand at ``at`` and see what it holds."""
        normed = self.pre_sa_norm(x_BTD)
        keys, values = self.self_attention.keys_values(normed)
        queries, keys = rotate(self.self_attention.queries(normed), angles), rotate(keys, angles)
        if cache is not None:
            keys, values = cache.append(at, keys, values)
        mask, causal = _causal_mask(x_BTD, at)
        x_BTD = x_BTD + self.self_attention.attend(queries, keys, values, mask, causal)
        queries = self.cross_attention.queries(self.pre_ca_norm(x_BTD))
        queries = rotate(queries, cross_angles) if self.cross_rope else queries
        x_BTD = x_BTD + self.cross_attention.attend(queries, *memory, memory_mask_B11S, causal=False)
        out: Tensor = x_BTD + self.mlp(self.pre_mlp_norm(x_BTD))
        return out


class Decoder(nn.Module):
    """The stack of decoder layers over the channel embedding."""

    def __init__(self, config: DiaConfig) -> None:
        super().__init__()
        self.config = config
        size = config.decoder
        self.embeddings = ChannelEmbedding(config.channels, size.vocabulary, size.width)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(size.layers))
        self.norm = RMSNorm(size.width, config.norm_epsilon)

    def forward(self, tokens_BTC: Tensor, memory_BSD: Tensor, memory_mask_BS: Tensor) -> Tensor:
        """Return features (B, T, D) of whole sequences, each step seeing itself and what came before."""
        cache = DecoderCache([], self._memories(memory_BSD), memory_mask_BS[:, None, None, :])
        return self._run(tokens_BTC, cache)

    def start(self, memory_BSD: Tensor, memory_mask_BS: Tensor, steps: int) -> DecoderCache:
        """Return an empty cache for ``steps`` steps over these texts."""
        size, batch = self.config.decoder, memory_BSD.shape[0]
        layers = [LayerCache(batch, size.key_value_heads, steps, size.head_width, memory_BSD) for _ in self.layers]
        return DecoderCache(layers, self._memories(memory_BSD), memory_mask_BS[:, None, None, :])

    def step(self, tokens_BTC: Tensor, cache: DecoderCache) -> Tensor:
        """Return features (B, T, D) of the next T steps and move the cache on."""
        features = self._run(tokens_BTC, cache)
        cache.length += tokens_BTC.shape[1]
        return features

    def _memories(self, memory_BSD: Tensor) -> list[tuple[Tensor, Tensor]]:
        angles = self._cross_angles(0, memory_BSD.shape[1], memory_BSD.device)
        return [layer.memory(memory_BSD, angles) for layer in self._layers()]

    def _run(self, tokens_BTC: Tensor, cache: DecoderCache) -> Tensor:
        at, steps, device = cache.length, tokens_BTC.shape[1], tokens_BTC.device
        positions = torch.arange(at, at + steps, device=device)
        angles = rotary_angles(positions, self.config.decoder.head_width, self.config.rope_theta)
        cross_angles = self._cross_angles(at, steps, device)
        x_BTD = self.embeddings(tokens_BTC)
        for index, layer in enumerate(self._layers()):
            kept = cache.layers[index] if cache.layers else None
            x_BTD = layer(x_BTD, angles, cross_angles, cache.memory[index], cache.memory_mask_B11S, kept, at)
        out: Tensor = self.norm(x_BTD)
        return out

    def _cross_angles(self, at: int, steps: int, device: torch.device) -> Angles:
        positions = torch.arange(at, at + steps, device=device)
        return rotary_angles(positions, self.config.decoder.cross_head_width, self.config.rope_theta)

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))


def _causal_mask(x_BTD: Tensor, at: int) -> tuple[Tensor | None, bool]:
    """Return (mask, is_causal) for new steps at ``at``: none for one step, the built-in one for a fresh sequence."""
    steps = x_BTD.shape[1]
    if steps == 1:
        return None, False
    if at == 0:
        return None, True
    return torch.ones(steps, at + steps, dtype=torch.bool, device=x_BTD.device).tril(at), False
