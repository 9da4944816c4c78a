"""Record a system: say what it costs, ask for what is missing, and write rows and manifest however it
ends.
"""

import os
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dia.config.systems import RecordConfig
from dia.errors import UserError
from dia.evaluation.prompts import Prompt, prompts_sha256, suite_prompts
from dia.home import in_home
from dia.resources import PACKAGE
from dia.systems.clients import open_system
from dia.systems.declaration import Declaration, declaration_of
from dia.systems.jobs import Estimate, Job, estimate, plan
from dia.systems.protocol import BringsPrompts, System
from dia.systems.recording_files import redactor
from dia.systems.retry import Asker, Stopped
from dia.systems.run_folder import ATTEMPTS, RunFolder
from dia.systems.takes import Maker

Row = dict[str, Any]
Say = Callable[[str], None]
TAKES = 3


@dataclass(frozen=True)
class Recorded:
    """Where a recording lies, how many takes it has, and how many of them failed, by kind."""

    folder: Path
    takes: int
    failed: dict[str, int]


def record(config: RecordConfig, say: Say) -> Recorded:
    """Record all takes that are missing. Raises :class:`UserError` for all that is wrong before anything is
    asked, when money would be spent without ``confirm=true``, and when the service will not answer
    anything."""
    config.require()
    declaration = declaration_of(config.system)
    system = open_system(declaration)
    prompts, takes = _prompts(config, system), _takes(config, system)
    fingerprint = sha256(
        f"{declaration.fingerprint()} {prompts_sha256(prompts)} {takes}".encode()
    ).hexdigest()
    path = (
        in_home(config.out)
        / declaration.name
        / (config.run_id or f"{Path(config.suite or 'own').stem}-{fingerprint[:10]}")
    )
    redact = redactor(os.environ.get(declaration.key, "").strip() if declaration.key else "")
    jobs = plan(prompts, takes, system, declaration)
    folder = RunFolder(path, fingerprint, redact) if (path / ATTEMPTS).is_file() else None
    try:
        missing = [(job, left) for job, left in _missing(jobs, folder) if left]
        say(_told(len(jobs), estimate(missing, declaration), declaration))
        if missing and declaration.price and not config.confirm:
            raise UserError("nothing was asked and nothing spent; give confirm=true to go on")
        if folder and not missing and folder.manifest.get("state") == "complete":
            return Recorded(path, len(jobs), folder.manifest["failed"])
        if missing:
            system.open()
        folder = folder or RunFolder(path, fingerprint, redact)
        identity = _identity(config, declaration, prompts, takes, fingerprint)
        return _Run(config, declaration, system, jobs, folder, identity).go(say)
    finally:
        if folder:
            folder.log.close()


class _Run:
    """One run into an open folder."""

    def __init__(
        self, config: RecordConfig, declaration: Declaration, system: System, jobs: list[Job], folder: RunFolder,
        identity: dict[str, Any],
    ) -> None:  # fmt: skip
        self.config, self.declaration, self.jobs, self.folder = config, declaration, jobs, folder
        self.stop = threading.Event()
        sdk = _version(system.package)
        self.asker = Asker(system, folder, declaration.format, config.retry, folder.redact, self.stop, sdk)
        self.maker = Maker(folder, declaration)
        self.rows: dict[tuple[str, int], Row] = {}
        self.session = {
            "begun": _now(),
            "recorded_by": config.recorded_by,
            "sdk_version": sdk,
            "code": _code(),
        }
        folder.write_manifest(**identity, state="recording", sessions=folder.manifest.get("sessions", []))

    def go(self, say: Say) -> Recorded:
        """Ask for everything that is missing; whatever happens, what there is is written down."""
        state = "stopped"
        try:
            self._ask_all(say)
            state = "complete"
        finally:
            failed = self._write(state)
        return Recorded(self.folder.path, len(self.jobs), failed)

    def _ask_all(self, say: Say) -> None:
        with ThreadPoolExecutor(self.declaration.concurrency) as pool:
            asked = {pool.submit(self._take, job): job for job in self.jobs}
            try:
                for number, future in enumerate(as_completed(asked), start=1):
                    self._settle(future, asked[future], number, say)
            except BaseException:
                self.stop.set()
                pool.shutdown(
                    wait=True, cancel_futures=True
                )  # what is under way is paid for, and is waited for
                raise

    def _settle(self, future: "Future[Row]", job: Job, number: int, say: Say) -> None:
        if isinstance(error := future.exception(), Stopped):
            return  # another take's error says why
        if error:
            raise error
        row = self.rows[job.key] = future.result()
        told = (
            f"{row['duration_s']:.1f} s"
            if not row["error_kind"]
            else f"{row['error_kind']}: {row['message']}"
        )
        say(self.folder.redact(f"{number}/{len(self.jobs)} {job.prompt.id} take {job.take}: {told}"))

    def _take(self, job: Job) -> Row:
        """All parts of a take; those that were answered before are not asked again, and none after one that
        failed.
        """
        parts: list[Row] = []
        for part in range(len(job.calls)):
            parts.append(self.folder.answered.get((*job.key, part)) or self.asker.ask(job, part))
            if parts[-1].get("error_kind"):
                break
        return self.maker.row(job, parts)

    def _known(self, job: Job) -> Row:
        """The row of a take that the run did not come to the end of: what was answered stays, in earlier runs
        too.
        """
        parts = [self.folder.answered.get((*job.key, part)) for part in range(len(job.calls))]
        known = [part for part in parts if part is not None]
        if not job.refused and len(known) < len(parts):
            job = replace(job, refused="not_asked", message="the run ended before")
        return self.maker.row(job, known)

    def _write(self, state: str) -> dict[str, int]:
        rows = [self.rows.get(job.key) or self._known(job) for job in self.jobs]
        failed = dict(Counter(row["error_kind"] for row in rows if row["error_kind"]))
        session = {**self.session, "ended": _now(), "state": state}
        self.folder.write_manifest(
            state=state, outputs_sha256=self.folder.write_outputs(rows), rows=len(rows), failed=failed,
            cost_units=sum(row.get("cost_units") or 0 for row in self.folder.log.rows()),
            sessions=[*self.folder.manifest["sessions"], session],
        )  # fmt: skip
        return failed


def _prompts(config: RecordConfig, system: System) -> list[Prompt]:
    if config.suite:
        return suite_prompts(config.suite)
    if isinstance(system, BringsPrompts):
        return system.own_prompts()
    raise UserError("give suite=NAME or suite=FILE.jsonl: what is to be spoken")


def _takes(config: RecordConfig, system: System) -> int:
    return config.takes or (system.own_takes() if isinstance(system, BringsPrompts) else TAKES)


def _missing(jobs: list[Job], folder: RunFolder | None) -> list[tuple[Job, int]]:
    """Jobs, and how many of their parts are still to be asked for."""
    answered = folder.answered if folder else {}
    return [(job, sum((*job.key, part) not in answered for part in range(len(job.calls)))) for job in jobs]


def _told(takes: int, left: Estimate, declaration: Declaration) -> str:
    told = f"{declaration.name}: {takes} takes, {left.requests} requests to ask, about {left.characters:,} characters and "
    told += f"{left.seconds:,.0f} s of speech"
    if declaration.price is None:
        return told + "; it costs nothing"
    if left.dollars is None:
        return (
            told + f"; what a {declaration.price.unit} costs is not known here ({declaration.price.source})"
        )
    return told + f"; about ${left.dollars:,.2f} ({declaration.price.source})"


def _identity(
    config: RecordConfig, declaration: Declaration, prompts: list[Prompt], takes: int, fingerprint: str
) -> dict[str, Any]:
    """The part of the manifest that says what is recorded."""
    return {
        "kind": "dia recording", "version": 1, "fingerprint": fingerprint, "declaration": asdict(declaration),
        "licence": declaration.licence, "suite": config.suite, "prompts": len(prompts),
        "prompts_sha256": prompts_sha256(prompts), "takes": takes,
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}" if package else ""
    except PackageNotFoundError:
        return ""


def _code() -> dict[str, Any]:
    """Revision of this code, whether it was changed, and the sha256 of its lock file; None where it is no
    checkout.
    """
    root, lock = PACKAGE.parent, PACKAGE.parent / "constraints.txt"
    revision = _git("rev-parse", "HEAD") if (root / ".git").exists() else None
    changed = bool(_git("status", "--porcelain")) if revision else None
    return {
        "revision": revision,
        "changed": changed,
        "lock_sha256": sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
