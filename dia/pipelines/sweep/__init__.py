"""Hyper-parameter search with Optuna: each trial is a training run in its own process."""
