"""Metrics behind one protocol (`protocol.py`), listed in `registry.py`; one metric is one file."""
