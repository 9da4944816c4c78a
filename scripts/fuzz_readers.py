"""Feed mutated files to the readers of files from outside, guided by coverage, and count what they do.

    python scripts/fuzz_readers.py 20000                   # inputs of each reader; all readers
    python scripts/fuzz_readers.py 20000 voice WAV         # some readers

An input must be read, or refused with the documented error, within two seconds of processor time. With
`pip install atheris` (Python 3.11 to 3.13 on Linux) libFuzzer guides the mutations by the coverage of the
package; without it they are random. The first input that fails is written to fuzz-failures/.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for the package `tests` of this checkout

GUIDED = find_spec("atheris") is not None
FAILURES = Path("fuzz-failures")


def main() -> int:
    """Fuzz each reader in a process of its own; return 1 if any input failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", type=int, help="mutated inputs of each reader")
    parser.add_argument("readers", nargs="*", help="names of readers; all when left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--one", action="store_true", help=argparse.SUPPRESS
    )  # this process fuzzes one reader
    options = parser.parse_args()
    if options.one:
        return fuzz(options.readers[0], options.inputs, options.seed)
    names = options.readers or reader_names()
    print(
        f"mutations guided by {'coverage' if GUIDED else 'chance'}, {options.inputs:,} inputs of each reader",
        flush=True,
    )
    failed = 0
    for name in names:
        command = [sys.executable, __file__, str(options.inputs), name, "--one", "--seed", str(options.seed)]
        failed += subprocess.run(command, check=False).returncode != 0
    print(f"{len(names)} readers, {failed} with a failure")
    return int(failed > 0)


def reader_names() -> list[str]:
    """Return the names of all readers."""
    from tests.test_fuzzing import NAMES

    return list(NAMES)


def fuzz(name: str, inputs: int, seed: int) -> int:
    """Feed inputs to one reader and print a line with the counts; return 1 after a failure."""
    if GUIDED:
        import atheris

        with atheris.instrument_imports(include=["dia"]):
            from tests import fuzzing
    else:
        from tests import fuzzing
    with tempfile.TemporaryDirectory(dir=shared_memory()) as folder:
        reader = fuzzing.build_readers(Path(folder))[name]
        for content in reader.seeds:  # the first one may import a library
            with contextlib.suppress(fuzzing.UserError):
                reader.open(content)
        counts: Counter[str] = Counter()
        begin = time.monotonic()

        def feed(content: bytes) -> None:
            counts["inputs"] += 1
            try:
                counts["accepted" if fuzzing.check(reader, content) else "refused"] += 1
            except BaseException as error:
                FAILURES.mkdir(exist_ok=True)
                path = FAILURES / f"{name.replace(' ', '-').strip('.')}-{counts['inputs']}"
                path.write_bytes(content)
                print(f"{name}: {type(error).__name__} {error}; the input is in {path}", flush=True)
                counts["failed"] += 1
            if counts["inputs"] == inputs:
                seconds = time.monotonic() - begin
                shown = ", ".join(
                    f"{counts[key]:,} {key}" for key in ("inputs", "accepted", "refused", "failed")
                )
                print(f"{name}: {shown}, {seconds:.0f} s", flush=True)
                if GUIDED:
                    os._exit(int(counts["failed"] > 0))  # libFuzzer's loop does not return

        if GUIDED:
            return run_guided(reader.seeds, feed, seed, Path(folder))
        for content in islice(fuzzing.mutations(reader.seeds, seed), inputs):
            feed(content)
    return int(counts["failed"] > 0)


def run_guided(seeds: tuple[bytes, ...], feed: Callable[[bytes], None], seed: int, folder: Path) -> int:
    """Let libFuzzer choose the inputs in a forked process, which ends after the last one; return its exit
    code."""
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(content)
    longest = 4 * max(len(content) for content in seeds)
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-seed={seed}", f"-max_len={longest}", "-verbosity=0", "-rss_limit_mb=0"],
        feed,
    )
    child = os.fork()
    if child == 0:
        atheris.Fuzz()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def shared_memory() -> str | None:
    """Return a folder in memory, where files cost least, None if the system has none."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
