"""Where each turn lies in a recording whose times nobody knows: by the recognised words that match the script's."""

import jiwer

from dia.dialogue import Script
from dia.judges.recording import Times
from dia.judges.transcription import HeardWord
from dia.judges.words import alignment_keys


def find_turns(script: Script, heard: list[HeardWord]) -> list[Times | None]:
    """Return (start, end) of each turn in seconds, None for a turn of which no word was recognised.

    The script's words and the recognised ones are aligned; a turn reaches from its first to its last recognised word.
    """
    wanted = [(number, word) for number, turn in enumerate(script.turns) for word in alignment_keys(Script((turn,)).words())]
    found = [(word, piece) for word in heard for piece in alignment_keys(word.text)]
    times: list[Times | None] = [None] * len(script.turns)
    if not wanted or not found:
        return times
    aligned = jiwer.process_words(" ".join(word for _, word in wanted), " ".join(piece for _, piece in found))
    for chunk in aligned.alignments[0]:
        if chunk.type != "equal":
            continue
        pairs = zip(range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx), strict=True)
        for reference, hypothesis in pairs:
            number, word = wanted[reference][0], found[hypothesis][0]
            known = times[number] or (word.start, word.end)
            times[number] = (min(known[0], word.start), max(known[1], word.end))
    return times
