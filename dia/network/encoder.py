"""Dia's text encoder: byte ids to features, with bidirectional self-attention.

Legend: B batch, S text byte, D width.
"""

import torch
from torch import Tensor, nn

from dia.config.model import DiaConfig
from dia.network.layers import Attention, GatedSiLU, Mask, RMSNorm, rotary_angles, rotate
from dia.network.packing import Packing, positions


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual connection."""

    def __init__(self, config: DiaConfig) -> None:
        super().__init__()
        size = config.encoder
        self.pre_sa_norm = RMSNorm(size.hidden_size, config.norm_epsilon)
        self.self_attention = Attention(
            size.hidden_size, size.hidden_size, size.heads, size.heads, size.head_dim
        )
        self.post_sa_norm = RMSNorm(size.hidden_size, config.norm_epsilon)
        self.mlp = GatedSiLU(size.hidden_size, size.intermediate_size)

    def forward(self, x_BSD: Tensor, angles: tuple[Tensor, Tensor], mask: Mask) -> Tensor:
        """Return features of the same shape; ``mask`` (B, 1, 1, S) is true on text."""
        queries, keys, values = self.self_attention.queries_keys_values(self.pre_sa_norm(x_BSD))
        queries, keys = rotate(queries, angles), rotate(keys, angles)
        x_BSD = x_BSD + self.self_attention.attend(queries, keys, values, mask, causal=False)
        out: Tensor = x_BSD + self.mlp(self.post_sa_norm(x_BSD))
        return out


class Encoder(nn.Module):
    """The stack of encoder layers on top of a byte embedding."""

    def __init__(self, config: DiaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.encoder.vocab_size, config.encoder.hidden_size)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder.layers))
        self.norm = RMSNorm(config.encoder.hidden_size, config.norm_epsilon)

    def forward(self, text_BS: Tensor, mask_BS: Tensor, packing: Packing | None = None) -> Tensor:
        """Return features (B, S, D) of byte ids (B, S); ``mask_BS`` is true on text.

        Features at padded positions are meaningless; cross-attention masks them. With ``packing`` the texts
        lie one after another in one row (1, S).
        """
        places_S = torch.arange(text_BS.shape[1], device=text_BS.device)
        mask: Mask = mask_BS[:, None, None, :]
        if packing:
            places_S, mask = positions(packing.text, text_BS.device), packing.to_text(text_BS.device)
        angles = rotary_angles(places_S, self.config.encoder.head_dim, self.config.rope_theta)
        x_BSD = self.embedding(text_BS)
        for layer in self.layers:
            x_BSD = layer(x_BSD, angles, mask)
        out: Tensor = self.norm(x_BSD)
        return out
