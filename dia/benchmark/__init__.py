"""Measured speed: this code and `transformers`, side by side in one run, against the bandwidth of the
machine's memory.
"""
