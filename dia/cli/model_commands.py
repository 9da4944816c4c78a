"""Commands that work on finished models: checkpoints, voices, publication and serving."""

from dia.cli.command import Command

DOCTOR = Command(
    door="weights",
    word="doctor",
    config="",
    schema="dia.config.weights:DoctorConfig",
    summary="Describe a checkpoint: layout, generation, types, checksum, and shapes that do not fit.",
    examples=(
        ("dia_open", "describe a shipped model, a run or a checkpoint"),
        ('PATH audio=clip.wav text="[S1] Hello."', "also test which cross_rope fits a recording"),
        ("owner/name codec=dac_44khz", "describe a checkpoint of the Hugging Face Hub"),
    ),
    positional="path",
)
CONVERT = Command(
    door="weights",
    word="convert",
    config="",
    schema="dia.config.weights:ConvertConfig",
    summary="Convert a checkpoint to another layout.",
    examples=(
        ("runs/nano to=transformers out=FOLDER", "write a folder that transformers opens"),
        ("runs/nano to=nari out=FOLDER", "write the layout of nari-labs/dia"),
        ("owner/name to=nari out=FOLDER", "convert a checkpoint of the Hugging Face Hub"),
    ),
    positional="path",
)
CONSOLIDATE = Command(
    door="weights",
    word="consolidate",
    config="",
    schema="dia.config.weights:ConsolidateConfig",
    summary="Write the newest checkpoint of a run, also a sharded one, as a model.",
    examples=(
        ("runs/base out=FOLDER", "export an unfinished run"),
        ("/data/runs/base out=base-model", "paths may be absolute"),
        ("runs/base out=exports/base", "the parent folder must exist"),
    ),
    positional="path",
)

PUSH_MODEL = Command(
    door="weights",
    word="push",
    config="",
    schema="dia.config.publishing:PushModelConfig",
    summary="Write a checkpoint as a complete folder with codec, samples and card, and upload it to the Hub.",
    examples=(
        ("runs/finetune license=apache-2.0", "write hub/finetune, without network"),
        ("runs/finetune repo=owner/name license=apache-2.0", "also upload it, privately"),
        ("dia_open to=FOLDER license=apache-2.0 samples=0", "write a shipped model, without samples"),
    ),
    positional="path",
    notes="The access token is read from HF_TOKEN.",
)
PUSH_DATA = Command(
    door="prepare",
    word="push",
    config="push_data",
    schema="dia.config.publishing:PushDataConfig",
    summary="Write a prepared data set as Parquet files with a card, and upload it to the Hub.",
    examples=(
        ("prepared/demo-c2f47c4f09", "write hub/demo-c2f47c4f09, without network"),
        ("prepared/demo-c2f47c4f09 repo=owner/name", "also upload it, privately"),
        ("prepared/demo-c2f47c4f09 to=FOLDER license=cc-by-4.0", "choose folder and licence"),
    ),
    positional="path",
    notes="The access token is read from HF_TOKEN.",
)

MAKE_VOICE = Command(
    door="voice",
    word="make",
    config="",
    schema="dia.config.voice:MakeVoiceConfig",
    summary="Make a voice file of a recording and its transcript.",
    examples=(
        ('anna.wav text="[S1] What Anna says." ckpt=nari-labs/Dia-1.6B-0626', "write anna.voice"),
        ("anna.wav text=@anna.txt out=voices/anna.voice", "read the transcript from a file"),
        ("anna.wav text=@anna.txt codec=dac_44khz", "name the codec, without a checkpoint's config"),
    ),
    positional="audio",
    notes="Use it with dia-generate voice=FILE. It fits models with the same codec.",
)
SHOW_VOICE = Command(
    door="voice",
    word="show",
    config="",
    schema="dia.config.voice:ShowVoiceConfig",
    summary="Describe a voice file: transcript, length, codec, pace.",
    examples=(
        ("anna.voice", "print what the file holds"),
        ("voices/anna.voice", "paths may have folders"),
        ("/data/voices/anna.voice", "and may be absolute"),
    ),
    positional="voice",
)

SERVE = Command(
    door="serve",
    word="",
    config="serve",
    schema="dia.config.serve:ServeConfig",
    summary="Serve a model over HTTP: OpenAI's speech endpoint, streamed, many requests at a time.",
    examples=(
        ("dia_open", "serve a shipped model, a run or a checkpoint at http://127.0.0.1:8000"),
        ("nari-labs/Dia-1.6B-0626 quantization=int8 port=9000", "serve Dia-1.6B on a CPU"),
        (
            "dia_open host=0.0.0.0 voices=FOLDER",
            "serve every network of the machine",
        ),
    ),
    positional="ckpt",
    notes="Needs `pip install '.[serve]'`. Where DIA_API_KEY is set, clients must send it as a bearer token.",
)
