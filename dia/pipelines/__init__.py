"""Whole runs: data, network, task and trainer put together as a config says."""
