"""Which generation of Dia a checkpoint is, tested by its loss on a recording with a transcript."""

from dataclasses import replace

import torch

from dia.audio.files import read_audio
from dia.checkpoint import Source
from dia.checkpoint.load import codec_of, network_of
from dia.codecs.protocol import pad_to_frames
from dia.codecs.registry import load_codec, load_stated_codec
from dia.data.collation import Example, collate
from dia.dialogue.text import encode_text
from dia.errors import UserError
from dia.training.loss import channel_sums, channel_weights, weighted_loss


def probe_checkpoint(source: Source, audio: str, text: str, codec_name: str | None) -> list[str]:
    """Return lines that compare a recording's teacher-forced loss, in nats, with and without ``cross_rope``.

    Raises:
        UserError: When no codec is known, and for a recording that is too long or cannot be read.
    """
    reference = codec_of(source)
    if codec_name is None and reference is None:
        raise UserError(f"{source.located.path} does not name its codec; give one with codec=...")
    codec = (
        load_codec(codec_name or "")
        if codec_name or reference is None
        else load_stated_codec(reference.name, reference.fingerprint, source.located.path)
    )
    waveform_BL = torch.from_numpy(read_audio(audio, codec.sample_rate))[None]
    codes_TC = codec.encode(pad_to_frames(waveform_BL, codec.hop))[0]
    losses = {flag: teacher_forced_loss(source, flag, codes_TC, text) for flag in (False, True)}
    best = min(losses, key=lambda flag: losses[flag])
    margin = abs(losses[True] - losses[False])
    verdict = "agrees with" if best == source.config.cross_rope else "CONTRADICTS"
    return [
        *(f"probe       cross_rope={flag}: {loss:.4f} nats" for flag, loss in losses.items()),
        f"            cross_rope={best} fits better by {margin:.4f} nats, which {verdict} the config",
    ]


@torch.inference_mode()
def teacher_forced_loss(source: Source, cross_rope: bool, codes_TC: torch.Tensor, text: str) -> float:
    """Return the loss, in nats, of codes (T, C) given their text.

    Raises:
        UserError: if the clip is empty or longer than the model accepts.
    """
    config = replace(source.config, cross_rope=cross_rope)
    if not 1 <= len(codes_TC) <= config.max_frames:
        raise UserError(
            f"the recording has {len(codes_TC)} frames, the model takes 1 to {config.max_frames}; "
            "give a shorter one"
        )
    network = network_of(replace(source, config=config)).float().eval()
    batch = collate([Example("probe", torch.tensor(encode_text(text)), codes_TC.cpu())], [False], config)
    logits = network(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
    sums = channel_sums(logits, batch.targets_BTC, config.decoder.eos)
    return float(weighted_loss(sums, channel_weights(config.channels, 1.0)))
