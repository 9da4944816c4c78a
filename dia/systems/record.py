"""Record a system: estimate the cost, send the missing requests, write rows and manifest even on failure."""

import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dia.config.systems import RecordConfig
from dia.errors import StorageError, UserError
from dia.evaluation.prompts import Prompt, prompts_sha256, suite_prompts
from dia.home import in_home
from dia.interrupts import Interrupted
from dia.resources import PACKAGE
from dia.systems.clients import create_system, redactor_of
from dia.systems.declaration import SystemDeclaration, parse_declaration
from dia.systems.planning import CostEstimate, TakeJob, estimate_cost, plan_takes
from dia.systems.protocol import ProvidesPrompts, System
from dia.systems.recording_files import JsonRow
from dia.systems.recording_folder import ATTEMPTS, RecordingFolder
from dia.systems.request_sender import RequestSender, RunStopped
from dia.systems.rescue import ResponseRescue
from dia.systems.take_rows import TakeWriter

Report = Callable[[str], None]
TAKES = 3
MANIFEST_VERSION = 2  # 1 had other names of events (attempts.jsonl) and of some keys of rows


@dataclass(frozen=True)
class RecordingSummary:
    """The folder of a recording, its number of takes, and the number of failed ones by kind."""

    folder: Path
    takes: int
    failed: dict[str, int]


def record(config: RecordConfig, report: Report) -> RecordingSummary:
    """Record all takes that are missing; ``report`` receives lines of progress.

    Raises :class:`UserError` for all problems before any request, for a paid system without ``confirm=true``,
    and when the service refuses every request.
    """
    config.require()
    declaration = parse_declaration(config.system)
    system = create_system(declaration)
    prompts, takes = _select_prompts(config, system), _count_takes(config, system)
    identity = f"{declaration.fingerprint()} {prompts_sha256(prompts)} {takes}"
    fingerprint = sha256(identity.encode()).hexdigest()
    run_id = config.run_id or f"{Path(config.suite or 'own').stem}-{fingerprint[:10]}"
    path = in_home(config.out) / declaration.name / run_id
    redact = redactor_of(declaration)
    jobs = plan_takes(prompts, takes, system, declaration)
    folder = RecordingFolder(path, fingerprint, redact) if (path / ATTEMPTS).is_file() else None
    try:
        missing = [(job, count) for job, count in _count_missing(jobs, folder) if count]
        report(_describe_cost(len(jobs), estimate_cost(missing, declaration), declaration))
        if missing and declaration.price and not config.confirm:
            raise UserError("this system costs money: no request was sent; give confirm=true to proceed")
        if folder and not missing and folder.manifest.get("state") == "complete":
            return RecordingSummary(path, len(jobs), folder.manifest["failed"])
        if missing:
            system.open()
        folder = folder or RecordingFolder(path, fingerprint, redact)
        folder.update_manifest(**_manifest_identity(config, declaration, prompts, takes, fingerprint))
        return _RecordingSession(config, declaration, system, jobs, folder).run(report)
    finally:
        if folder:
            folder.log.close()


class _RecordingSession:
    """One run of the command into an open folder."""

    def __init__(
        self,
        config: RecordConfig,
        declaration: SystemDeclaration,
        system: System,
        jobs: list[TakeJob],
        folder: RecordingFolder,
    ) -> None:
        self.declaration, self.jobs, self.folder = declaration, jobs, folder
        self.stop = threading.Event()
        sdk_version = _package_version(system.package)
        self.rescue = ResponseRescue(folder)
        self.sender = RequestSender(
            system,
            folder,
            declaration.format,
            config.retry,
            folder.redact,
            self.stop,
            sdk_version,
            self.rescue,
        )
        self.writer = TakeWriter(folder, declaration)
        self.rows: dict[tuple[str, int], JsonRow] = {}
        self.session = {
            "started": _timestamp(),
            "recorded_by": config.recorded_by,
            "sdk_version": sdk_version,
            "code": _code_version(),
        }
        folder.update_manifest(state="recording", sessions=folder.manifest.get("sessions", []))

    def run(self, report: Report) -> RecordingSummary:
        """Record everything that is missing; write rows and manifest also when a request fails fatally.

        They can be rebuilt from the log and the responses, so that a folder which cannot be written is
        reported only where nothing else is.
        """
        try:
            self._record_all(report)
        except BaseException:
            with suppress(StorageError):
                self._write_results("stopped")
            self.rescue.require_unused()
            raise
        return RecordingSummary(self.folder.path, len(self.jobs), self._write_results("complete"))

    def _record_all(self, report: Report) -> None:
        with ThreadPoolExecutor(self.declaration.concurrency) as pool:
            futures = {pool.submit(self._record_take, job): job for job in self.jobs}
            try:
                for number, future in enumerate(as_completed(futures), start=1):
                    self._finish_take(future, futures[future], number, report)
            except BaseException as error:
                self.stop.set()
                if isinstance(error, Interrupted):
                    report("stopping: waiting for the responses to requests that are sent and billed")
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _finish_take(self, future: "Future[JsonRow]", job: TakeJob, number: int, report: Report) -> None:
        error = future.exception()
        if isinstance(error, RunStopped):
            return  # the error of another take is the reason
        if error:
            raise error
        row = self.rows[job.key] = future.result()
        result = (
            f"{row['error_kind']}: {row['message']}" if row["error_kind"] else f"{row['duration_s']:.1f} s"
        )
        line = f"{number}/{len(self.jobs)} {job.prompt.id} take {job.take}: {result}"
        report(self.folder.redact(line))

    def _record_take(self, job: TakeJob) -> JsonRow:
        """Send a take's requests, except those with a stored response; stop after the first failure."""
        parts: list[JsonRow] = []
        for index in range(len(job.requests)):
            parts.append(self.folder.responses.get((*job.key, index)) or self.sender.send(job, index))
            if parts[-1].get("error_kind"):
                break
        return self.writer.build_row(job, parts)

    def _unfinished_row(self, job: TakeJob) -> JsonRow:
        """Return the row of a take that this run did not reach, with the responses of earlier runs."""
        stored = [self.folder.responses.get((*job.key, index)) for index in range(len(job.requests))]
        parts = [part for part in stored if part is not None]
        if not job.error_kind and len(parts) < len(stored):
            job = replace(job, error_kind="not_requested", message="the run ended before this take")
        return self.writer.build_row(job, parts)

    def _write_results(self, state: str) -> dict[str, int]:
        rows = [self.rows.get(job.key) or self._unfinished_row(job) for job in self.jobs]
        failed = dict(Counter(row["error_kind"] for row in rows if row["error_kind"]))
        session = {**self.session, "ended": _timestamp(), "state": state}
        self.folder.update_manifest(
            state=state,
            outputs_sha256=self.folder.write_outputs(rows),
            rows=len(rows),
            failed=failed,
            cost_units=sum(row.get("cost_units") or 0 for row in self.folder.log.rows()),
            sessions=[*self.folder.manifest["sessions"], session],
        )
        return failed


def _select_prompts(config: RecordConfig, system: System) -> list[Prompt]:
    if config.suite:
        return suite_prompts(config.suite)
    if isinstance(system, ProvidesPrompts):
        return system.provided_prompts()
    raise UserError("no prompts: give suite=NAME or suite=FILE.jsonl")


def _count_takes(config: RecordConfig, system: System) -> int:
    return config.takes or (system.provided_takes() if isinstance(system, ProvidesPrompts) else TAKES)


def _count_missing(jobs: list[TakeJob], folder: RecordingFolder | None) -> list[tuple[TakeJob, int]]:
    """Return each job with the number of its requests that have no stored response."""
    stored = folder.responses if folder else {}
    return [(job, sum((*job.key, index) not in stored for index in range(len(job.requests)))) for job in jobs]


def _describe_cost(takes: int, cost: CostEstimate, declaration: SystemDeclaration) -> str:
    text = (
        f"{declaration.name}: {takes} takes, {cost.requests} requests to send, about {cost.characters:,} "
        f"characters and {cost.seconds:,.0f} s of speech"
    )
    if declaration.price is None:
        return f"{text}; free of charge"
    if cost.dollars is None:
        return f"{text}; the price of a {declaration.price.unit} is unknown ({declaration.price.source})"
    return f"{text}; about ${cost.dollars:,.2f} ({declaration.price.source})"


def _manifest_identity(
    config: RecordConfig,
    declaration: SystemDeclaration,
    prompts: list[Prompt],
    takes: int,
    fingerprint: str,
) -> dict[str, Any]:
    """Return the entries of the manifest that identify the recording."""
    return {
        "kind": "dia recording",
        "version": MANIFEST_VERSION,
        "fingerprint": fingerprint,
        "declaration": asdict(declaration),
        "licence": declaration.licence,
        "suite": config.suite,
        "prompts": len(prompts),
        "prompts_sha256": prompts_sha256(prompts),
        "takes": takes,
    }


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _package_version(package: str) -> str:
    try:
        return f"{package} {version(package)}" if package else ""
    except PackageNotFoundError:
        return ""


def _code_version() -> dict[str, Any]:
    """Return the git revision, whether files changed, and the lock file's sha256; None outside a checkout."""
    root, lock = PACKAGE.parent, PACKAGE.parent / "constraints.txt"
    revision = _git("rev-parse", "HEAD") if (root / ".git").exists() else None
    return {
        "revision": revision,
        "changed": bool(_git("status", "--porcelain")) if revision else None,
        "lock_sha256": sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    }


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None
