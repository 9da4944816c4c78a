"""Blind listening tests of recorded systems: build a static page, and analyse the answers of its listeners.

Building: the first take of each prompt (`read_runs.py`) is trimmed and matched in loudness (`clip_audio.py`,
`clip_set.py`), pairs become trials in balanced orders (`design.py`), and `build.py` writes the page and,
separately, the key that maps its random names to systems (`key.py`). Analysis: answers become votes
(`answers.py`), votes become strengths with confidence intervals (`davidson.py`, `strengths.py`), and
`result.py` prints the tables.
"""
