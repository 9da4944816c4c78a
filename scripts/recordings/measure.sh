#!/usr/bin/env bash
# bash scripts/recordings/measure.sh FOLDER TRANSCRIPTS     (as root; FOLDER receives audio, measurements and data sets, about 200 MB)
# TRANSCRIPTS is Asterisk's core-sounds-en.txt, with lines `name: words`.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1 transcripts=$2 python=${PYTHON:-.venv/bin/python}
bash scripts/recordings/sounds.sh "$folder/sounds" hedgewars asterisk
"$python" -m dia.prepare +recipe=recordings "data.path=$folder/sounds" "data.root=$folder/prepared" \
    "data.recordings.measures=$folder/measures" data.dialogue.shortest=0.3 data.dialogue.pause=30 data.shard_units=16 data.tokens=false
"$python" scripts/recordings/score.py "$folder" "$transcripts"
