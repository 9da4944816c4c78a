"""Metrics: what is measured of one clip, and what the clips of a system say together. All behind one protocol
(`protocol.py`).
"""
