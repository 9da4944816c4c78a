"""Benchmarks of generation, data preparation and training, beside `transformers` and dac's command.

All variants of a comparison take turns within one run, so that medians and their ratios are comparable.
"""
