"""Evaluate: ``python -m dia.eval ckpt=runs/demo suite=quick``. Writes scores.json and report.html, prints the table.

``python -m dia.eval calibrate folder=SOUNDS`` measures the detector of nonverbals on real recordings (exit code 3: some could not
be read).

Three systems are scored on the same prompts: the ground truth, the codec's round trip of it, and the model.

python -m dia.eval listen RUN RUN... out=listen.html           a blind listening test of recorded systems, as one static page
python -m dia.eval votes ANSWERS... key=listen.key.json        what its listeners' answers say
``python -m dia.eval record system=elevenlabs suite=...`` records what another system makes of a suite's prompts. Exits with 0
when every take is there, and with 3 when some failed.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from dia.audio.codec import Codec, pad_to_frames
from dia.audio.files import resample
from dia.conf import EvalConfig, run_one_of
from dia.data.prepare import DataConfig, prepare
from dia.data.prepared import open_prepared
from dia.errors import UserError, in_one_line
from dia.evaluation.calibration import calibrate_on_real
from dia.evaluation.listening_test.commands import count_votes, write_test
from dia.evaluation.listening_test.settings import ListenConfig, VotesConfig
from dia.evaluation.report import Learning, table, write_report, write_text
from dia.evaluation.scoring import Judges, calibrate_events, summarise
from dia.evaluation.settings import CalibrateConfig
from dia.evaluation.suites import Suite, load_suite
from dia.evaluation.systems.record import record as record_system
from dia.evaluation.systems.settings import RecordConfig
from dia.evaluation.truth import ground_truth
from dia.judges.recording import Recording
from dia.model import Dia
from dia.training.run_folder import read_metrics

ROUND_TRIP, MODEL = "codec round trip", "model"
CALIBRATION_CLIPS = 200  # clips of the training split, beside all of validation, that the event detector is calibrated on
BATCH = 8
LEFT_OUT = 3  # exit code


def main(config: EvalConfig) -> None:
    """Score a checkpoint. Raises ``UserError`` for a missing checkpoint, suite or codec."""
    suite = load_suite(config.suite)
    dia = Dia.from_pretrained(config.ckpt, codec=config.codec.name or None, quantization=config.quantization)
    dia.sampling(**asdict(config.sampling))
    splits = open_prepared(prepare(_data_config(config), dia.codec))
    rows = splits[suite.split].select(range(min(suite.prompts, len(splits[suite.split]))))
    truth = [ground_truth(row) for row in rows]
    recordings = [*truth, *(round_trip(recording, dia.codec) for recording in truth), *speak(dia, truth, suite.seeds)]
    judges = Judges()
    labelled = [ground_truth(row) for row in _labelled(splits["train"], splits["validation"])]
    clips = judges.score(recordings, enrolment=labelled[:60])
    results = {
        "checkpoint": config.ckpt,
        "quantization": config.quantization,
        "suite": asdict(suite),
        "prompts": len(truth),
        "codec": {"name": dia.codec.name, "fingerprint": dia.codec.fingerprint},
        "sampling": asdict(dia.default_sampling),
        "systems": summarise(clips, calibrate_events(judges, labelled)),
        "provenance": judges.provenance(),
    }
    learning = read_learning(Path(config.ckpt))
    if learning:
        results["training"] = {"loss": learning.training[-1][1], "marginal_loss": learning.marginal}
    written = write_report(_out_folder(config, suite), results, clips, learning)
    Console(width=160).print(table(results))
    if learning:
        print(f"training loss {learning.training[-1][1]:.3f} nats; marginal token distribution {learning.marginal:.3f}")
    print(f"report: {written.resolve()}")


def calibrate(config: CalibrateConfig) -> None:
    """Calibrate the detector of nonverbals on real recordings, write the JSON, print the table. Raises ``UserError``."""
    if not config.folder:
        raise UserError("no recordings are named; give folder=FOLDER (tests/recordings/sounds.sh makes one of Debian's packages)")
    if not Path(config.out).absolute().parent.is_dir():
        raise UserError(f"the folder of out={config.out} is missing; make it, or write elsewhere")
    result = calibrate_on_real(config.folder, config.labels)
    write_text(Path(config.out), json.dumps(result, indent=2, allow_nan=False) + "\n")
    for tag, found in result["tags"].items():
        verdict = "measurable" if found["measurable"] else "not measurable"
        heard = f"sensitivity {found['sensitivity']:.2f} ({found['with_tag']} recordings)"
        quiet = f"specificity {found['specificity']:.2f} ({found['without_tag']})"
        print(f"{tag}: {heard}, {quiet}, threshold {found['threshold']:.3f}: {verdict}")
    print(f"wrote {config.out}")
    for path, error in result["unreadable"].items():
        print(f"left out: {path}: {error}", file=sys.stderr)
    if result["unreadable"]:
        sys.exit(LEFT_OUT)


def listen(config: ListenConfig) -> None:
    """Write a listening test and its key; exits with 3 when some clips could not be put into it. Raises ``UserError``."""
    page = write_test(config)
    forms, key = page.key["forms"], config.key
    print(f"wrote {config.out}: {len(page.key['trials'])} comparisons in {len(forms)} forms of {min(map(len, forms))} or more")
    print(f"wrote {key}, which says what is what: do not send it along. Number the listeners 1, 2, 3 ...")
    if page.left_out:
        print(f"left out, {len(page.left_out)}:", *(f"  - {line}" for line in page.left_out), sep="\n", file=sys.stderr)
        sys.exit(LEFT_OUT)


def votes(config: VotesConfig) -> None:
    """Print what listeners' answers say; exits with 3 when listeners failed the checks. Raises ``UserError``."""
    answers = count_votes(config, Console(width=160))
    if answers.failed:
        named = ", ".join(f"{one.name} ({sum(one.checks)} of {len(one.checks)})" for one in answers.failed)
        print(f"left out, for they failed the attention checks: listeners {named}", file=sys.stderr)
        sys.exit(LEFT_OUT)


def record(config: RecordConfig) -> None:
    """Record another system, and say what failed. Raises ``UserError`` as its parts do."""
    done = record_system(config, print)
    print(f"recorded: {done.folder.resolve()}")
    if done.failed:
        kinds = ", ".join(f"{kind} {count}" for kind, count in done.failed.items())
        print(f"failed, {sum(done.failed.values())} of {done.takes} takes: {kinds}; the same command asks again", file=sys.stderr)
        sys.exit(LEFT_OUT)


def round_trip(recording: Recording, codec: Codec) -> Recording:
    """Return a recording as the codec gives it back: the best that any model over this codec can sound."""
    wave_BL = torch.from_numpy(resample(recording.wave, recording.sample_rate, codec.sample_rate))[None]
    made = codec.decode(codec.encode(pad_to_frames(wave_BL, codec.hop)))[0, : wave_BL.shape[1]].cpu().numpy()
    return Recording(recording.prompt_id, ROUND_TRIP, recording.script, made, codec.sample_rate, turn_times=recording.turn_times)


def speak(dia: Dia, prompts: list[Recording], seeds: int) -> list[Recording]:
    """Let the model speak every prompt with every seed, in batches."""
    asked = [(prompt, seed) for prompt in prompts for seed in range(seeds)]
    spoken: list[Recording] = []
    for begin in range(0, len(asked), BATCH):
        batch = asked[begin : begin + BATCH]
        texts, seed_of = [prompt.script.render() for prompt, _ in batch], [seed for _, seed in batch]
        speeches = dia.synthesizer.speak(texts, seed_of, dia.default_sampling)  # without a guard: the model's own first attempt
        spoken += [
            Recording(prompt.prompt_id, MODEL, prompt.script, speech.wave, speech.sample_rate, seed, ended=speech.ended)
            for (prompt, seed), speech in zip(batch, speeches, strict=True)
        ]
    return spoken


def read_learning(run_folder: Path) -> Learning | None:
    """Return the curve of a run folder, None for a checkpoint that is no run."""
    marginal, rows = run_folder / "marginal.json", read_metrics(run_folder)
    if not (marginal.is_file() and rows):
        return None
    curves = [[(int(row["step"]), float(row[key])) for row in rows if row.get(key)] for key in ("train/loss", "validation/loss")]
    loss = json.loads(marginal.read_text(encoding="utf-8"))["loss"]
    return Learning(curves[0], curves[1], loss) if curves[0] else None


def _data_config(config: EvalConfig) -> DataConfig:
    """The data of the run that is evaluated, so that its own test split is spoken; else what the command line says."""
    recorded = Path(config.ckpt) / "config.yaml"
    if not recorded.is_file():
        return config.data
    try:
        merged = OmegaConf.merge(OmegaConf.structured(DataConfig), OmegaConf.load(recorded).data)
    except OmegaConfBaseException as error:
        raise UserError(f"{recorded} holds no data config of this version: {in_one_line(error)}") from error
    return cast(DataConfig, OmegaConf.to_object(merged))


def _labelled(train: Dataset, validation: Dataset) -> list[dict[str, Any]]:
    return [*validation, *train.select(range(min(CALIBRATION_CLIPS, len(train))))]


def _out_folder(config: EvalConfig, suite: Suite) -> Path:
    if config.out:
        return Path(config.out)
    folder = Path(config.ckpt)
    return (folder if folder.is_dir() else Path("outputs") / folder.name) / f"eval-{suite.name}"


if __name__ == "__main__":
    run_one_of(
        {
            "": ("eval", main), "calibrate": ("calibrate", calibrate), "listen": ("listen", listen), "votes": ("votes", votes),
            "record": ("record", record),
        },
        words={"listen": "folders", "votes": "files"},
    )  # fmt: skip
