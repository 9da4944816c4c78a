"""Whole evaluations: generate takes, score them, compare systems, write the report."""
