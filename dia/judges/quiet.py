"""Messages of judges' libraries that say nothing to a user, dropped where they are written."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_native_info() -> Iterator[None]:
    """Drop lines that C++ code writes to standard error and that begin with ``INFO``; pass on others."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            captured.seek(0)
            for line in captured:
                if not line.startswith(b"INFO"):
                    os.write(2, line)
