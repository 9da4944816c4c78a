"""What a model reads while it speaks: the cross-attention of each codec frame over the bytes of the text.

Legend: L layer, N head, T codec frame, S text byte, C codec channel, B batch, H head width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dia.codecs.delay import delay
from dia.inference.request import encode_texts
from dia.network import DiaNetwork


@dataclass(frozen=True)
class TextAttention:
    """The attention weights of a take.

    Attributes:
        text: The text.
        weights_LNTS: Weights (layers, heads, frames, bytes); those of a frame over the bytes have the sum 1.
    """

    text: str
    weights_LNTS: Tensor

    def focus_rates(self) -> Tensor:
        """Return the focus rate (layers, heads): the mean over the frames of the largest weight.

        A head that reads one place at a time has a rate near 1 (Ren et al., FastSpeech, 2019, section 3.3).
        """
        return self.weights_LNTS.amax(dim=-1).mean(dim=-1)

    def reading_scores(self) -> Tensor:
        """Return how far each head (layers, heads) reads the text from its beginning to its end, 0 to 1.

        The score is the product of the focus rate, of the correlation between time and the mean place in the
        text (at least 0), and of the share of the text that is read: the perplexity of the mean weights.
        """
        weights = self.weights_LNTS.double()
        frames, size = weights.shape[2:]
        place_LNT = weights @ torch.arange(size, dtype=torch.double, device=weights.device)
        time_T = torch.arange(frames, dtype=torch.double, device=weights.device)
        place_LNT, time_T = place_LNT - place_LNT.mean(-1, keepdim=True), time_T - time_T.mean()
        spread_LN = (place_LNT.square().sum(-1) * time_T.square().sum()).sqrt()
        correlation_LN = (place_LNT @ time_T) / spread_LN.clamp(min=1e-9)
        mean_LNS = weights.mean(dim=2)
        read_LN = -torch.xlogy(mean_LNS, mean_LNS).sum(-1)
        return self.focus_rates() * correlation_LN.clamp(min=0) * read_LN.exp() / size

    def reading_head(self) -> tuple[int, int]:
        """Return layer and head with the highest reading score."""
        scores_LN = self.reading_scores()
        layer, head = divmod(int(scores_LN.argmax()), scores_LN.shape[1])
        return layer, head

    def picture(self) -> NDArray[np.uint8]:
        """Return a grey picture (bytes, frames) of the reading head, with the first byte at the top."""
        layer, head = self.reading_head()
        weights_TS = self.weights_LNTS[layer, head]
        scaled_ST = (255 * weights_TS / weights_TS.amax().clamp(min=1e-9)).T
        return scaled_ST.round().to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def text_attention(network: DiaNetwork, text: str, codes_TC: Tensor) -> TextAttention:
    """Return what the model attends to in ``text`` when it predicts each frame of codes (T, C).

    The codes are those of a take, or of a recording of the text.

    Raises:
        UserError: For a text that cannot be encoded.
    """
    ids, device = network.config.decoder, next(network.parameters()).device
    text_BS, mask_BS = (tensor.to(device) for tensor in encode_texts([text]))
    bos_1C = torch.full((1, codes_TC.shape[1]), ids.bos, device=device)
    canvas_BTC = torch.cat((bos_1C, codes_TC.to(device)))[None]
    tokens_BTC = delay(canvas_BTC, network.config.delays, ids.bos, ids.pad)[:, : len(codes_TC)]
    with network.decoder.record_cross_attention(range(len(network.decoder.layers))) as recorded:
        network(text_BS, mask_BS, tokens_BTC)
    mask_B11S = mask_BS[:, None, None]
    weights = [attention_weights(queries, keys, mask_B11S)[0] for queries, keys in recorded]
    return TextAttention(text, torch.stack(weights))


def attention_weights(queries_BNTH: Tensor, keys_BKSH: Tensor, mask: Tensor | None) -> Tensor:
    """Return the weights (B, N, T, S), fp32, of attention of scale 1; ``mask`` is true on keys to use."""
    shared = queries_BNTH.shape[1] // keys_BKSH.shape[1]
    keys_BNSH = keys_BKSH.float().repeat_interleave(shared, dim=1)
    scores_BNTS = queries_BNTH.float() @ keys_BNSH.mT
    if mask is not None:
        scores_BNTS = scores_BNTS.masked_fill(~mask, float("-inf"))
    return scores_BNTS.softmax(dim=-1)
