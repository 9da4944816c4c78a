"""Dia's decoder: delayed codec channels, summed into one sequence, attending to the text.

The same layers run in two ways: ``forward`` on whole sequences (training), ``next_features`` on new steps
with a cache (generation).

Legend: B batch, T audio step, S text byte, C codec channel, V ids per channel, D width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.config.model import DiaConfig
from dia.network.cache import BLOCK, DecoderCache, LayerCache
from dia.network.layers import Attention, GatedSiLU, Mask, RMSNorm, rotary_angles, rotate
from dia.network.packing import Packing, positions

Angles = tuple[Tensor, Tensor]


class ChannelEmbedding(nn.Module):
    """One embedding table for all channels; a step's feature is the sum over its channels (embedding bag)."""

    def __init__(self, channels: int, vocabulary: int, width: int) -> None:
        super().__init__()
        self.channels, self.vocabulary = channels, vocabulary
        self.embed = nn.Embedding(channels * vocabulary, width)

    def forward(self, tokens_BTC: Tensor) -> Tensor:
        """Return features (B, T, D)."""
        offsets_C = torch.arange(self.channels, device=tokens_BTC.device) * self.vocabulary
        rows_RC = (tokens_BTC + offsets_C).flatten(0, 1)
        x_BTD: Tensor = F.embedding_bag(rows_RC, self.embed.weight, mode="sum").unflatten(
            0, tokens_BTC.shape[:2]
        )
        return x_BTD


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention to the text and feed-forward, with residuals."""

    def __init__(self, config: DiaConfig) -> None:
        super().__init__()
        size, self.cross_rope = config.decoder, config.cross_rope
        self.pre_sa_norm = RMSNorm(size.hidden_size, config.norm_epsilon)
        self.self_attention = Attention(
            size.hidden_size, size.hidden_size, size.heads, size.key_value_heads, size.head_dim
        )
        self.pre_ca_norm = RMSNorm(size.hidden_size, config.norm_epsilon)
        self.cross_attention = Attention(
            size.hidden_size,
            config.encoder.hidden_size,
            size.cross_heads,
            size.cross_heads,
            size.cross_head_dim,
        )
        self.self_attention.incremental = self.cross_attention.incremental = True
        self.pre_mlp_norm = RMSNorm(size.hidden_size, config.norm_epsilon)
        self.mlp = GatedSiLU(size.hidden_size, size.intermediate_size)
        self.recorded: list[tuple[Tensor, Tensor]] | None = None  # of record_cross_attention

    def memory(self, memory_BSD: Tensor, angles: Angles) -> tuple[Tensor, Tensor]:
        """Return cross-attention keys and values of the text; ``cross_rope`` rotates the keys."""
        keys, values = self.cross_attention.keys_values(memory_BSD)
        return (rotate(keys, angles) if self.cross_rope else keys), values

    def forward(
        self,
        x_BTD: Tensor,
        context: "StepContext",
        memory: Tensor | tuple[Tensor, Tensor],
        cache: LayerCache | None,
    ) -> Tensor:
        """Return features of the same shape; with a cache, the steps are written to it and attend to it.

        ``memory`` are the encoder's features (B, S, D), or the keys and values that :meth:`memory` returned.
        """
        queries, keys, values = self.self_attention.queries_keys_values(self.pre_sa_norm(x_BTD))
        queries, keys = rotate(queries, context.angles), rotate(keys, context.angles)
        if cache is not None:
            cache.write(context.positions_BT, keys, values)
            keys, values = (
                cache.keys_BKTH[:, :, : context.visible],
                cache.values_BKTH[:, :, : context.visible],
            )
        x_BTD = x_BTD + self.self_attention.attend(queries, keys, values, context.mask, causal=cache is None)
        queries = self.cross_attention.queries(self.pre_ca_norm(x_BTD))
        queries = rotate(queries, context.cross_angles) if self.cross_rope else queries
        keys, values = self.memory(memory, context.memory_angles) if isinstance(memory, Tensor) else memory
        if self.recorded is not None:
            self.recorded.append((queries, keys))
        x_BTD = x_BTD + self.cross_attention.attend(queries, keys, values, context.memory_mask, causal=False)
        out: Tensor = x_BTD + self.mlp(self.pre_mlp_norm(x_BTD))
        return out


@dataclass(frozen=True)
class StepContext:
    """The inputs that all layers share: positions, rotary angles and attention masks of the current steps.

    ``positions_BT`` has one row for all items where they have the same positions. ``memory_mask`` is true on
    text (B, 1, 1, S).
    """

    positions_BT: Tensor
    angles: Angles
    cross_angles: Angles
    memory_angles: Angles
    memory_mask: Mask
    mask: Mask = None
    visible: int = 0


class Decoder(nn.Module):
    """The stack of decoder layers on top of the channel embedding."""

    def __init__(self, config: DiaConfig) -> None:
        super().__init__()
        self.config = config
        size = config.decoder
        self.embeddings = ChannelEmbedding(config.channels, size.vocab_size, size.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(size.layers))
        self.norm = RMSNorm(size.hidden_size, config.norm_epsilon)

    def forward(
        self,
        tokens_BTC: Tensor,
        memory_BSD: Tensor,
        memory_mask_BS: Tensor,
        packing: Packing | None = None,
    ) -> Tensor:
        """Return features (B, T, D) of whole sequences; each step attends to itself and earlier ones.

        With ``packing`` the sequences lie one after another in one row (1, T), and so do their texts.
        """
        context = (
            self._packed(packing, tokens_BTC.device) if packing else self._padded(tokens_BTC, memory_mask_BS)
        )
        return self._run(tokens_BTC, context, [memory_BSD] * len(self.layers), None)

    def new_cache(
        self, memory_BSD: Tensor, memory_mask_BS: Tensor, steps: int, block: int = BLOCK
    ) -> DecoderCache:
        """Return an empty cache for encoded texts, of at most ``steps`` steps in blocks of ``block``."""
        size, batch = self.config.decoder, memory_BSD.shape[0]
        like = memory_BSD.to(self._layers()[0].cross_attention.stored_dtype(memory_BSD))
        layers = [LayerCache(batch, size.key_value_heads, size.head_dim, like) for _ in self.layers]
        position_B = torch.zeros(batch, dtype=torch.long, device=memory_BSD.device)
        return DecoderCache(
            layers, self._memories(memory_BSD), memory_mask_BS[:, None, None, :], position_B, steps, block
        )

    def next_features(self, tokens_BTC: Tensor, cache: DecoderCache) -> Tensor:
        """Return features (B, T, D) of the next T steps and advance the cache, which needs room for them."""
        steps_T = torch.arange(tokens_BTC.shape[1], device=tokens_BTC.device)
        positions_BT = cache.position_B[:, None] + steps_T
        visible_T = torch.arange(cache.visible, device=tokens_BTC.device)
        mask_B1TT = visible_T <= positions_BT[:, None, :, None]
        angles, cross_angles = self._angles(positions_BT[:, None])
        context = StepContext(
            positions_BT,
            angles,
            cross_angles,
            cross_angles,
            cache.memory_mask_B11S,
            mask_B1TT,
            cache.visible,
        )
        features = self._run(tokens_BTC, context, cache.memory, cache.layers)
        cache.position_B.add_(tokens_BTC.shape[1])
        return features

    def _padded(self, tokens_BTC: Tensor, memory_mask_BS: Tensor) -> StepContext:
        positions_T = torch.arange(tokens_BTC.shape[1], device=tokens_BTC.device)
        memory_angles = self._memory_angles(memory_mask_BS)
        return StepContext(
            positions_T[None], *self._angles(positions_T), memory_angles, memory_mask_BS[:, None, None, :]
        )

    def _packed(self, packing: Packing, device: torch.device) -> StepContext:
        positions_T = positions(packing.steps, device)
        memory_angles = self._angles(positions(packing.text, device))[1]
        return StepContext(
            positions_T[None],
            *self._angles(positions_T),
            memory_angles,
            packing.steps_to_text(device),
            packing.to_steps(device),
        )

    def _memories(self, memory_BSD: Tensor) -> list[tuple[Tensor, Tensor]]:
        angles, memories = self._memory_angles(memory_BSD), []
        for layer in self._layers():
            stored = layer.cross_attention.stored_dtype(memory_BSD)
            keys, values = layer.memory(memory_BSD, angles)
            memories.append((keys.to(stored), values.to(stored)))
        return memories

    def _run(
        self,
        tokens_BTC: Tensor,
        context: StepContext,
        memory: Sequence[Tensor | tuple[Tensor, Tensor]],
        caches: list[LayerCache] | None,
    ) -> Tensor:
        x_BTD = self.embeddings(tokens_BTC)
        for index, layer in enumerate(self._layers()):
            x_BTD = layer(x_BTD, context, memory[index], caches[index] if caches else None)
        out: Tensor = self.norm(x_BTD)
        return out

    def _angles(self, positions: Tensor) -> tuple[Angles, Angles]:
        """Return the rotary angles of self-attention and of cross-attention."""
        size, theta = self.config.decoder, self.config.rope_theta
        return rotary_angles(positions, size.head_dim, theta), rotary_angles(
            positions, size.cross_head_dim, theta
        )

    def _memory_angles(self, memory: Tensor) -> Angles:
        return self._angles(torch.arange(memory.shape[1], device=memory.device))[1]

    @contextmanager
    def record_cross_attention(self, layers: Sequence[int]) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Append the cross-attention's queries (B, N, T, H) and keys (B, N, S, H) of these layers to a list.

        Their products are the logits of the attention, which no fused kernel returns.
        """
        recorded: list[tuple[Tensor, Tensor]] = []
        chosen = [self._layers()[layer] for layer in layers]
        for layer in chosen:
            layer.recorded = recorded
        try:
            yield recorded
        finally:
            for layer in chosen:
                layer.recorded = None

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))
