"""Settings of every test process, applied before torch is imported.

Each test process has one thread (`make test` starts a process a core), needs no account, and ignores the
variable that moves runs, prepared data and caches. It does not wait for the disk: tests kill processes, which
loses nothing of what was written, but they never cut the power.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.pop("DIA_HOME", None)
os.fsync = lambda descriptor: None
