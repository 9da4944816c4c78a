"""Where a recording is given to Whisper: the whole, pieces cut in pauses, or nowhere without speech.

Whisper invents words for music, noise and breath. Its authors' threshold on the probability of "no speech"
rejects most of them; the Silero VAD that faster-whisper contains rejects them sooner.
"""

from dia.types import Waveform

SAMPLE_RATE = 16_000
LONGEST = 30.0  # seconds that Whisper decodes at once
THRESHOLD = 0.35  # probability of speech; music and noise reach .3 for moments, speech in noise .9
PAUSE_MS = 100  # shortest pause in which a recording is cut
MARGIN_MS = 200  # around speech


def speech_pieces(waveform: Waveform) -> list[tuple[int, int]]:
    """Return (first, last + 1) sample of pieces of at most 30 s that contain all speech, in order.

    ``waveform`` is float32 (samples,) at 16 kHz. A recording of up to 30 s with speech is one piece. In
    longer ones, neighbouring stretches of speech are joined, with the pauses between them, as long as they
    fit; audio without speech between pieces is left out.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=THRESHOLD,
        max_speech_duration_s=LONGEST,
        min_silence_duration_ms=PAUSE_MS,
        speech_pad_ms=MARGIN_MS,
    )
    stretches = get_speech_timestamps(waveform, options)
    if len(waveform) <= LONGEST * SAMPLE_RATE:
        return [(0, len(waveform))] if stretches else []
    pieces: list[tuple[int, int]] = []
    for stretch in stretches:
        start, end = int(stretch["start"]), int(stretch["end"])
        if pieces and end - pieces[-1][0] <= LONGEST * SAMPLE_RATE:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((start, end))
    return pieces
