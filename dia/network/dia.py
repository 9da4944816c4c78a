"""The Dia network: text and previous codes in, logits of the next step's codes out, for every channel.

Legend: B batch, T audio step, S text byte, C codec channel, V ids per channel, D width.
"""

from functools import partial

from torch import Tensor, nn

from dia.config.model import DiaConfig
from dia.network.cache import BLOCK, DecoderCache
from dia.network.decoder import Decoder
from dia.network.encoder import Encoder
from dia.network.linear import Linear
from dia.network.packing import Packing

INITIALIZER_RANGE = 0.02  # of Dia-1.6B, whose decoder has a hidden size of 2,048


class DiaNetwork(nn.Module):
    """Encoder, decoder and the output layer with the logits of all channels.

    Args:
        config: Shape of the network.
        initializer_range: Standard deviation of the initial weights; None leaves torch's initialization.

    Raises:
        ValueError: With all problems of an impossible config.
    """

    def __init__(self, config: DiaConfig, initializer_range: float | None = INITIALIZER_RANGE) -> None:
        super().__init__()
        if problems := config.problems():
            raise ValueError(
                "the model cannot be built:\n" + "\n".join(f"  - {problem}" for problem in problems)
            )
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.logits_dense = Linear(config.decoder.hidden_size, config.channels * config.decoder.vocab_size)
        if initializer_range is not None:
            self.apply(partial(_initialise, deviation=initializer_range))

    def forward(self, text_BS: Tensor, text_mask_BS: Tensor, tokens_BTC: Tensor) -> Tensor:
        """Return teacher-forced logits (B, T, C, V); those at step t predict the codes of step t + 1.

        Args:
            text_BS: Byte ids (B, S).
            text_mask_BS: True on text (B, S).
            tokens_BTC: Delayed codes (B, T, C).
        """
        return self.logits(self.features(text_BS, text_mask_BS, tokens_BTC))

    def features(
        self, text_BS: Tensor, text_mask_BS: Tensor, tokens_BTC: Tensor, packing: Packing | None = None
    ) -> Tensor:
        """Return the teacher-forced decoder features (B, T, D) before the output layer.

        With ``packing`` all clips lie in one row, (1, S) and (1, T, C).
        """
        memory_BSD = self.encoder(text_BS, text_mask_BS, packing)
        features_BTD: Tensor = self.decoder(tokens_BTC, memory_BSD, text_mask_BS, packing)
        return features_BTD

    def new_cache(
        self, text_BS: Tensor, text_mask_BS: Tensor, steps: int, block: int = BLOCK
    ) -> DecoderCache:
        """Encode texts and return a cache for decoding up to ``steps`` steps, in blocks of ``block``."""
        return self.decoder.new_cache(self.encoder(text_BS, text_mask_BS), text_mask_BS, steps, block)

    def prefill(self, tokens_BTC: Tensor, cache: DecoderCache) -> None:
        """Advance the cache by T steps (B, T, C) whose successors are known, without computing logits."""
        self.decoder.next_features(tokens_BTC, cache)

    def next_logits(self, tokens_BTC: Tensor, cache: DecoderCache) -> Tensor:
        """Return logits (B, T, C, V) of the next T steps and advance the cache, which needs room."""
        return self.logits(self.decoder.next_features(tokens_BTC, cache))

    def logits(self, features_BTD: Tensor) -> Tensor:
        """Return logits (B, T, C, V) of decoder features."""
        shape = (self.config.channels, self.config.decoder.vocab_size)
        logits_BTCV: Tensor = self.logits_dense(features_BTD).unflatten(-1, shape)
        return logits_BTCV


def _initialise(module: nn.Module, deviation: float) -> None:
    """Draw weights of linear layers and embeddings from a normal distribution; norms stay at one."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=deviation)
