"""The command ``python -m dia.eval`` (``dia-eval``): evaluation, recordings and listening tests.

==================================  ==================================================================
``dia-eval runs/nano suite=quick``  Evaluate a checkpoint: scores.json, clips.parquet, report.html.
``dia-eval systems=[RUN]``          Evaluate recorded systems, alone or beside a checkpoint.
``dia-eval compare RUN RUN``         Print which of several runs is better, and how sure that is.
``dia-eval record system=NAME``     Record what another system generates from a suite's prompts.
``dia-eval listen RUN RUN``         Write a blind listening test of recorded systems as one static page.
``dia-eval votes FILE key=KEY``     Analyse the answers of its listeners.
``dia-eval calibrate folder=DIR``   Calibrate the detector of nonverbal sounds on real recordings.
==================================  ==================================================================

Exit codes: 0 complete, 2 refused, 3 something was left out: takes that failed, recordings that could not be
read, listeners who failed the attention checks.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dia.cli.arguments import checkpoints
from dia.cli.command import program
from dia.cli.run import Task, run
from dia.errors import EXIT_INCOMPLETE, UserError
from dia.files import write_text

if TYPE_CHECKING:
    from dia.config.eval import CompareConfig, EvalConfig
    from dia.config.judges import CalibrateConfig
    from dia.config.listening_test import ListenConfig, VotesConfig
    from dia.config.systems import RecordConfig
    from dia.evaluation.results import EvaluationResults


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    tasks: dict[str, Task] = {
        "": evaluate_systems,
        "compare": compare,
        "record": record,
        "listen": listen,
        "votes": votes,
        "calibrate": calibrate,
    }
    run("eval", tasks, arguments)


def evaluate_systems(config: "EvalConfig") -> None:
    """Score checkpoints and recordings; exit with 3 when something is left out. Raises ``UserError``."""
    _require_something(config)
    from dia.evaluation.terminal import print_results
    from dia.pipelines.evaluation.evaluate import evaluate
    from dia.pipelines.evaluation.write_results import results_folder, write_results

    results = evaluate(config)
    report = write_results(results_folder(config), results)
    print_results(results, report)
    _exit_if_incomplete(results)


def compare(config: "CompareConfig") -> None:
    """Print the report of several runs; exit with 3 when something is left out. Raises ``UserError``."""
    from dia.evaluation.published import load_published
    from dia.evaluation.terminal_report import print_report
    from dia.pipelines.evaluation.compare import evaluation_of
    from dia.pipelines.evaluation.evaluate import evaluate
    from dia.pipelines.evaluation.write_results import write_results

    results = evaluate(evaluation_of(config))
    print_report(results, load_published())
    if config.out:
        print(f"The report with audio is {write_results(Path(config.out), results).resolve()}")
    _exit_if_incomplete(results)


def _exit_if_incomplete(results: "EvaluationResults") -> None:
    """Exit with 3, after a list of it, when something was left out."""
    if left_out := results.left_out():
        print(f"left out, {len(left_out)}:", *(f"  - {line}" for line in left_out), sep="\n", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)


def _require_something(config: "EvalConfig") -> None:
    """Raise :class:`UserError` with the known checkpoints when there is nothing to evaluate."""
    if not (config.ckpt or config.systems):
        known = checkpoints()
        raise UserError(
            "nothing to evaluate; give ckpt=... or systems=[outputs/SYSTEM/RUN]. "
            f"Checkpoints here: {', '.join(known)}\n  {program('eval')} {known[-1]}"
        )


def calibrate(config: "CalibrateConfig") -> None:
    """Calibrate the detector of nonverbals on real recordings, write the JSON, print the table. Raises
    ``UserError``.
    """
    from dia.evaluation.calibration import calibrate_on_real, describe_calibration

    if not config.folder:
        raise UserError(
            "no recordings are named; give folder=FOLDER "
            "(scripts/recordings/sounds.sh builds one from Debian's packages)"
        )
    if not Path(config.out).absolute().parent.is_dir():
        raise UserError(f"the folder of out={config.out} is missing; make it, or write elsewhere")
    if not 1 <= config.seconds <= 60:
        raise UserError(f"seconds={config.seconds} must be from 1 to 60, the length of the clips to evaluate")
    result = calibrate_on_real(config.folder, config.labels, config.seconds, config.detector)
    write_text(Path(config.out), json.dumps(result, indent=2, allow_nan=False) + "\n")
    print(*describe_calibration(result), sep="\n")
    print(f"wrote {config.out}")
    for path, error in result["unreadable"].items():
        print(f"left out: {path}: {error}", file=sys.stderr)
    if result["unreadable"]:
        sys.exit(EXIT_INCOMPLETE)


def listen(config: "ListenConfig") -> None:
    """Write a listening test and its key; exit with 3 when clips were excluded. Raises ``UserError``."""
    from dia.listening_test.commands import write_test

    test = write_test(config)
    forms = test.key["forms"]
    shortest = min(map(len, forms))
    print(
        f"wrote {config.out}: {len(test.key['trials'])} comparisons in {len(forms)} forms, "
        f"at least {shortest} in each"
    )
    print(f"wrote {config.key}, which reveals the systems: never give it to listeners")
    print(f"send {config.out} to the listeners, each with a number of their own: 1, 2, 3 and so on")
    if test.excluded:
        listed = "\n".join(f"  - {reason}" for reason in test.excluded)
        print(f"excluded clips ({len(test.excluded)}):\n{listed}", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)


def votes(config: "VotesConfig") -> None:
    """Print a listening test's results; exit with 3 when listeners failed checks. Raises ``UserError``."""
    from rich.console import Console

    from dia.listening_test.commands import count_votes

    answers = count_votes(config, Console(width=160))
    if answers.failed:
        named = ", ".join(f"{one.name} ({sum(one.checks)} of {len(one.checks)})" for one in answers.failed)
        print(f"not counted, failed the attention checks: listeners {named}", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)


def record(config: "RecordConfig") -> None:
    """Record another system; exit with 3 when takes failed. Raises ``UserError``."""
    from dia.systems.record import record as record_system

    summary = record_system(config, print)
    print(f"recorded: {summary.folder.resolve()}")
    if summary.failed:
        kinds = ", ".join(f"{kind} {count}" for kind, count in summary.failed.items())
        failed = f"{sum(summary.failed.values())} of {summary.takes} takes failed ({kinds})"
        print(f"{failed}; run the same command again to retry them", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)


if __name__ == "__main__":
    main()
