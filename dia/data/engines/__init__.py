"""Engines that run preparation jobs: this process, several processes, a Dask cluster, SLURM."""
