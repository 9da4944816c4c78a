"""Every command: its configuration class, one sentence, examples, and the groups of keys that it reads.

The table is data only, so that help and shell completion import no library.
"""

from dia.cli.command import Command
from dia.cli.model_commands import (
    CONSOLIDATE,
    CONVERT,
    DOCTOR,
    MAKE_VOICE,
    PUSH_DATA,
    PUSH_MODEL,
    SERVE,
    SHOW_VOICE,
)

HOME = (
    "Relative folders of output (runs, prepared data, caches, reports, sweeps) lie below the folder that the "
    "environment variable DIA_HOME names, else below the working directory."
)
TRAIN = Command(
    door="train",
    word="",
    config="train",
    schema="dia.config.train:TrainConfig",
    summary="Train a model or a codec: prepare the data unless it exists, train, and save the model.",
    examples=(
        ("+recipe=demo", "fine-tune the shipped model on a new voice, in minutes on a CPU"),
        ("+recipe=finetune data.path=FOLDER", "fine-tune Dia-1.6B on your own recordings"),
        ("+recipe=base plan=true", "print the memory, hours and money that a run needs, and exit"),
    ),
    notes="The same command resumes an interrupted run. Exit codes: 0 trained, 2 refused; stopped and "
    f"saved: 75 by SIGUSR1, 143 by SIGTERM, 130 by Ctrl-C. {HOME}",
)
PREPARE = Command(
    door="prepare",
    word="",
    config="train",
    schema="dia.config.train:TrainConfig",
    summary="Prepare a data set: read its source, cut it into clips, and store audio, labels and codes.",
    examples=(
        ("data=demo", "synthesize the demo corpus"),
        ("data=corpus data.corpus=local data.path=FOLDER", "prepare your own folder with a table"),
        ("+recipe=recordings data.path=FOLDER", "label raw recordings with models"),
    ),
    reads=("data", "codec", "engine"),
    notes="The same command resumes an interrupted preparation. Exit codes: 0 complete, 2 refused, 3 some "
    f"inputs were left out. {HOME}",
)
GENERATE = Command(
    door="generate",
    word="",
    config="generate",
    schema="dia.config.generate:GenerateConfig",
    summary="Generate speech from a script.",
    examples=(
        ('"[S1] Hello there. (laughs) [S2] Hello!"', "write speech.wav"),
        ('"[S1] Hello there." seed=0,1,2 out=hello.flac', "write hello_seed0.flac to hello_seed2.flac"),
        ("- ckpt=runs/nano out=story.wav < story.txt", "read the script from standard input"),
    ),
    positional="text",
    omits=("seeds",),
    notes="text=@FILE reads the script from a file. The audio format follows the ending of out: .wav, .flac, "
    f".ogg or .mp3. {HOME}",
)
EVAL = Command(
    door="eval",
    word="",
    config="eval",
    schema="dia.config.eval:EvalConfig",
    summary="Evaluate a checkpoint, recorded systems, or both: scores.json, clips.parquet and report.html.",
    examples=(
        ("dia_open suite=quick", "evaluate a shipped model or a run on the quick suite"),
        ("runs/demo baseline=dia_open", "compare a run with the checkpoint that it started from"),
        ("systems=[outputs/elevenlabs/RUN] suite=dialogue", "score recordings of another system"),
    ),
    positional="ckpt",
    notes=f"Exit codes: 0 complete, 2 refused, 3 some takes failed or could not be read. {HOME}",
)
COMPARE = Command(
    door="eval",
    word="compare",
    config="compare",
    schema="dia.config.eval:CompareConfig",
    summary="Print which of several runs is better, how sure that is, and all scores side by side.",
    examples=(
        ("outputs/elevenlabs/RUN outputs/openai/RUN", "compare two recordings on their suite"),
        ("runs/demo dia_open suite=quick", "compare two checkpoints"),
        ("RUN RUN RUN out=FOLDER", "compare three recordings, and write the report as well"),
    ),
    positional="folders",
    omits=("ckpt", "baseline", "systems"),
    notes="Takes and scores that are in the cache are not computed again. Exit codes: 0 complete, 2 refused, "
    f"3 some takes failed or could not be read. {HOME}",
)
RECORD = Command(
    door="eval",
    word="record",
    config="record",
    schema="dia.config.systems:RecordConfig",
    summary="Record what another system generates from a suite's prompts.",
    examples=(
        ("system=elevenlabs suite=dialogue", "print the price of a recording and stop"),
        ("system=elevenlabs suite=dialogue confirm=true", "record; the same command resumes"),
        ("system=folder system.path=FOLDER", "import recordings that exist"),
    ),
    notes=HOME,
)
LISTEN = Command(
    door="eval",
    word="listen",
    config="listen",
    schema="dia.config.listening_test:ListenConfig",
    summary="Write a blind listening test of recorded systems as one static page.",
    examples=(
        ("outputs/ours/RUN outputs/elevenlabs/RUN", "write listen.html and its key, listen.key.json"),
        ("RUN RUN RUN out=test.html trials=20", "compare three systems, 20 comparisons in a form"),
        ("RUN RUN reference=outputs/folder/RUN", "add real recordings of the same prompts"),
    ),
    positional="folders",
)
VOTES = Command(
    door="eval",
    word="votes",
    config="votes",
    schema="dia.config.listening_test:VotesConfig",
    summary="Analyse the answers of a listening test: strength of each system with confidence intervals.",
    examples=(
        ("answers-*.json key=listen.key.json", "print the result"),
        ("answers-*.json key=listen.key.json out=votes.json", "also write it as JSON"),
        ("answers-*.json key=listen.key.json checks=1", "require that every attention check is passed"),
    ),
    positional="files",
)
CALIBRATE = Command(
    door="eval",
    word="calibrate",
    config="calibrate",
    schema="dia.config.judges:CalibrateConfig",
    summary="Calibrate the detector of nonverbal sounds on real recordings.",
    examples=(
        ("folder=SOUNDS", "calibrate on a folder of labelled recordings"),
        ("folder=SOUNDS out=real.json", "choose the file of the result"),
        ("folder=SOUNDS labels=labels.csv", "name the table of labels"),
    ),
)
SWEEP = Command(
    door="sweep",
    word="",
    config="",
    schema="dia.config.sweep:SweepConfig",
    summary="Search hyper-parameters: every trial is a training run in its own process.",
    examples=(
        (
            "+recipe=nano 'sweep.space={optim.learning_rate: {low: 1e-4, high: 1e-2, log: true}}'",
            "search one key",
        ),
        (
            "+recipe=nano sweep.name=seeds 'sweep.space={seed: [0, 1, 2]}' sweep.sampler=grid",
            "train with three seeds",
        ),
        ("+recipe=nano sweep.trials=40 'sweep.space={dropout: [0, 0.1]}'", "run 40 trials"),
    ),
    prefix="sweep.",
    notes="All other keys are those of training and apply to every trial. The same command resumes a sweep. "
    f"{HOME}",
)
BENCH = Command(
    door="bench",
    word="",
    config="bench",
    schema="dia.config.bench:BenchConfig",
    summary="Measure speed and memory of generation, beside transformers.",
    examples=(
        ("model=nano variants=[dia-fp32,dia-int8]", "compare two variants of a small model"),
        ("model=dia_1_6b device=cuda", "measure Dia-1.6B with random weights on a GPU"),
        ("weights=dia_open out=bench.json", "measure a checkpoint and write the numbers as JSON"),
    ),
)
BENCH_PREPARE = Command(
    door="bench",
    word="prepare",
    config="bench_prepare",
    schema="dia.config.bench:BenchPrepareConfig",
    summary="Measure the time and memory of data preparation.",
    examples=(
        ("", "measure with the default sizes"),
        ("workers=1 out=prepare.json", "measure one worker and write the numbers as JSON"),
        ("dac=false", "leave out the comparison with the command of descript-audio-codec"),
    ),
)
BENCH_TRAIN = Command(
    door="bench",
    word="train",
    config="bench_train",
    schema="dia.config.bench:BenchTrainConfig",
    summary="Measure the speed and memory of training, beside transformers with accelerate.",
    examples=(
        ("", "measure with the default sizes"),
        ("model=dia_1_6b precision=bf16-mixed", "measure Dia-1.6B"),
        ("out=train.json", "write the numbers as JSON"),
    ),
)
BENCH_SERVE = Command(
    door="bench",
    word="serve",
    config="bench_serve",
    schema="dia.config.bench:BenchServeConfig",
    summary="Measure the server: first audio, sound a second alone and together, and a mixed load.",
    examples=(
        ("", "measure the shipped model with eight clients"),
        ("ckpt=runs/finetune streams=16", "measure a run with sixteen clients"),
        ("requests=0 out=serve.json", "leave out the mixed load and write the numbers as JSON"),
    ),
)
BENCH_SUITE = Command(
    door="bench",
    word="suite",
    config="bench_suite",
    schema="dia.config.bench_suite:BenchSuiteConfig",
    summary="Measure decoding, batches and training of a model within a few minutes, part by part.",
    examples=(
        ("", "measure Dia-1.6B with random weights on a GPU"),
        ("minutes=3 'batches=[16]' out=gpu.json", "measure less"),
        (
            "device=cpu model=nano codec=codec_nano variants=[dia-fp32,dia-int8]",
            "measure a small model on a CPU",
        ),
    ),
)
BENCH_COMPARE = Command(
    door="bench",
    word="compare",
    config="bench_compare",
    schema="dia.config.bench_suite:BenchCompareConfig",
    summary="Print the numbers of two JSON files of this command that differ, and their ratios.",
    examples=(
        ("before.json after.json", "compare two measurements"),
        ("cpu.json gpu.json", "compare two machines"),
        ("bench-suite.json bench-suite-int8.json", "compare two suites"),
    ),
    positional="files",
)

COMMANDS = (
    TRAIN,
    PREPARE,
    PUSH_DATA,
    GENERATE,
    EVAL,
    COMPARE,
    RECORD,
    LISTEN,
    VOTES,
    CALIBRATE,
    SWEEP,
    BENCH,
    BENCH_PREPARE,
    BENCH_TRAIN,
    BENCH_SERVE,
    BENCH_SUITE,
    BENCH_COMPARE,
    DOCTOR,
    CONVERT,
    CONSOLIDATE,
    PUSH_MODEL,
    MAKE_VOICE,
    SHOW_VOICE,
    SERVE,
)
DOORS = tuple(dict.fromkeys(command.door for command in COMMANDS))


def commands_of(door: str) -> dict[str, Command]:
    """Return the commands of a door by their word; the word of its main command is empty."""
    return {command.word: command for command in COMMANDS if command.door == door}
