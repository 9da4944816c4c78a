"""Listening tests: a blind static page made of recorded systems, and what the answers of its listeners say.

One trial: two recorded clips of a prompt (`recorded.py`) -> sound made comparable (`sound.py`, `material.py`)
-> a trial in the orders of several forms (`design.py`) -> the page (`page.py`, `page.html`, `page.css`,
`page.js`) and, apart from it, the key (`key.py`) -> a listener's answers -> votes (`answers.py`) -> strengths
with intervals (`davidson.py`, `strengths.py`) -> tables (`result.py`).
"""
