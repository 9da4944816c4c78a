"""Settings of every test process, applied before torch is imported.

Test processes work alone: one thread each (`make test` starts a process a core), no account, and no variable of
the user's shell that moves where runs, prepared data or caches go.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.pop("DIA_HOME", None)
