#!/usr/bin/env bash
# bash tests/recordings/measure.sh FOLDER TRANSCRIPTS     (as root; FOLDER takes sounds, measures and data sets, about 200 MB)
# TRANSCRIPTS are Asterisk's core-sounds-en.txt: `name: words` a line.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1 transcripts=$2 python=${PYTHON:-.venv/bin/python}
apt-get update -q
apt-get install -y -q asterisk-core-sounds-en-g722 hedgewars-data ffmpeg
mkdir -p "$folder/sounds/asterisk"
cp -r /usr/share/games/hedgewars/Data/Sounds/voices "$folder/sounds/hedgewars"
(cd /usr/share/asterisk/sounds/en_US_f_Allison && find . -name '*.g722') | while read -r file; do
    name=$(echo "${file#./}" | tr / _)
    ffmpeg -nostdin -loglevel error -y -f g722 -i "/usr/share/asterisk/sounds/en_US_f_Allison/$file" \
        "$folder/sounds/asterisk/${name%.g722}.wav"
done
"$python" -m dia.prepare +recipe=recordings "data.path=$folder/sounds" "data.root=$folder/prepared" \
    "data.recordings.measures=$folder/measures" data.dialogue.shortest=0.3 data.dialogue.pause=30 data.shard_units=16 data.tokens=false
"$python" -m tests.recordings.score "$folder" "$transcripts"
