"""Engines that run preparation jobs: the current process, several processes, a Dask cluster, or SLURM."""
