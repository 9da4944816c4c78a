"""The whole network: text in, logits of the next step's codes out, for every channel.

Legend: B batch, T audio step, S text byte, C codec channel, V ids per channel, D width.
"""

from functools import partial

from torch import Tensor, nn

from dia.config.model import DiaConfig
from dia.network.cache import BLOCK, DecoderCache
from dia.network.decoder import Decoder
from dia.network.encoder import Encoder
from dia.network.linear import Linear

INITIALIZER_RANGE = 0.02  # Dia's, whose decoder is 2,048 wide


class DiaNetwork(nn.Module):
    """Encoder, decoder and the head that gives every channel's logits; ``initializer_range`` is the deviation
    of random weights; None leaves them as torch makes them.

    Raises ``ValueError`` with every problem of an impossible config.
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
        """Teacher-forced: return logits (B, T, C, V), where step t tells what step t + 1 holds.

        ``text_BS`` are byte ids, ``text_mask_BS`` is true where there is text, ``tokens_BTC`` are delayed
        codes.
        """
        return self.logits(self.features(text_BS, text_mask_BS, tokens_BTC))

    def features(self, text_BS: Tensor, text_mask_BS: Tensor, tokens_BTC: Tensor) -> Tensor:
        """Teacher-forced: return what the head makes logits of, (B, T, D); arguments as of
        :meth:`forward`.
        """
        features_BTD: Tensor = self.decoder(tokens_BTC, self.encoder(text_BS, text_mask_BS), text_mask_BS)
        return features_BTD

    def start(self, text_BS: Tensor, text_mask_BS: Tensor, steps: int, block: int = BLOCK) -> DecoderCache:
        """Encode the texts and return the cache for decoding up to ``steps`` steps; its shapes change every
        ``block`` steps.
        """
        return self.decoder.start(self.encoder(text_BS, text_mask_BS), text_mask_BS, steps, block)

    def prefill(self, tokens_BTC: Tensor, cache: DecoderCache) -> None:
        """Incremental: take T steps whose successors are known, so that nobody asks for their logits."""
        self.decoder.step(tokens_BTC, cache)

    def step(self, tokens_BTC: Tensor, cache: DecoderCache) -> Tensor:
        """Incremental: return logits (B, T, C, V) of the next T steps and move the cache on; it must have
        reserved them.
        """
        return self.logits(self.decoder.step(tokens_BTC, cache))

    def logits(self, features_BTD: Tensor) -> Tensor:
        """Return logits (B, T, C, V) of decoder features."""
        return self.logits_dense(features_BTD).unflatten(
            -1, (self.config.channels, self.config.decoder.vocab_size)
        )


def _initialise(module: nn.Module, deviation: float) -> None:
    """Normal weights; norms stay at one."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=deviation)
