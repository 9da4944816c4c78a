#!/usr/bin/env bash
# bash scripts/recordings/sounds.sh FOLDER     (as root) copies recordings of Debian packages to FOLDER/asterisk and FOLDER/hedgewars, 40 MB
set -euo pipefail
folder=$1
apt-get update -q
apt-get install -y -q asterisk-core-sounds-en-g722 hedgewars-data ffmpeg
mkdir -p "$folder/asterisk"
cp -r /usr/share/games/hedgewars/Data/Sounds/voices "$folder/hedgewars"
(cd /usr/share/asterisk/sounds/en_US_f_Allison && find . -name '*.g722') | while read -r file; do
    name=$(echo "${file#./}" | tr / _)
    ffmpeg -nostdin -loglevel error -y -f g722 -i "/usr/share/asterisk/sounds/en_US_f_Allison/$file" \
        "$folder/asterisk/${name%.g722}.wav"
done
