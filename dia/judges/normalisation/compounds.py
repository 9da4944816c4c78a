"""Words that are written together on one side and apart on the other: "e mail" and "email", "a i" and "ai".

Both sound alike, so the transcript is given the word borders of the reference before errors are counted.
"""

from collections.abc import Sequence

import jiwer

LONGEST = 6  # words that may be written as one


def with_reference_borders(reference: Sequence[str], hypothesis: Sequence[str]) -> list[str]:
    """Return ``hypothesis`` with words joined or split where ``reference`` has them together or apart.

    Only words that differ in the alignment change, and only if that lowers the number of errors.
    """
    reference, hypothesis = list(reference), list(hypothesis)
    if not reference or not hypothesis or reference == hypothesis:
        return hypothesis
    aligned = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    result: list[str] = []
    for start, end, first, last in _regions(aligned.alignments[0]):
        own = hypothesis[first:last]
        result += own if start == end else _adapted(reference[start:end], own)
    return result if _errors(reference, result) < _errors(reference, hypothesis) else hypothesis


def _regions(chunks: Sequence[jiwer.AlignmentChunk]) -> list[tuple[int, int, int, int]]:
    """Return the borders (reference, hypothesis) of stretches that differ, and (0, 0, ...) of equal ones."""
    regions: list[tuple[int, int, int, int]] = []
    open_region = False
    for chunk in chunks:
        own = (chunk.ref_start_idx, chunk.ref_end_idx, chunk.hyp_start_idx, chunk.hyp_end_idx)
        if chunk.type == "equal":
            regions.append((0, 0, *own[2:]))
        elif open_region:
            regions[-1] = (regions[-1][0], own[1], regions[-1][2], own[3])
        else:
            regions.append(own)
        open_region = chunk.type != "equal"
    return regions


def _adapted(reference: list[str], hypothesis: list[str]) -> list[str]:
    """Return a differing stretch of the hypothesis with the borders of the reference's stretch."""
    apart = {"".join(words): words for words in _neighbours(reference)}
    whole = {word for word in reference if not word.isdigit()}
    result: list[str] = []
    place = 0
    while place < len(hypothesis):
        for length in range(min(LONGEST, len(hypothesis) - place), 1, -1):
            if (joined := "".join(hypothesis[place : place + length])) in whole:
                result.append(joined)
                place += length
                break
        else:
            result += apart.get(hypothesis[place], [hypothesis[place]])
            place += 1
    return result


def _neighbours(words: list[str]) -> list[list[str]]:
    """Return all groups of two to six neighbouring words, except digits alone."""
    groups = [
        words[start : start + length]
        for length in range(2, LONGEST + 1)
        for start in range(len(words) - length + 1)
    ]
    return [group for group in groups if not "".join(group).isdigit()]


def _errors(reference: list[str], hypothesis: list[str]) -> int:
    counts = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return counts.substitutions + counts.deletions + counts.insertions
