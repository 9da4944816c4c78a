#!/usr/bin/env bash
# bash scripts/recordings/sounds.sh FOLDER [SOURCE ...]     (as root) puts recordings of people into FOLDER, a folder for each source of
# eval/detectors/real.yaml: Debian packages, and the open part of Deeply's data set of nonverbal sounds; all sources take 280 MB
set -euo pipefail
folder=$1
shift
sources=${*:-hedgewars asterisk asterisk_fr asterisk_it asterisk_ru deeply}
declare -A voices=([asterisk]=en_US_f_Allison [asterisk_fr]=fr_CA_f_June [asterisk_it]=it_IT_m_Carlo [asterisk_ru]=ru_RU_f_IvrvoiceRU)
mkdir -p "$folder"
apt-get update -q
for source in $sources; do
    case $source in
    hedgewars)
        apt-get install -y -q hedgewars-data
        cp -r /usr/share/games/hedgewars/Data/Sounds/voices "$folder/hedgewars"
        ;;
    deeply)
        apt-get install -y -q git
        git clone --depth 1 https://github.com/deeplyinc/Nonverbal-Vocalization-Dataset "$folder/deeply"
        ;;
    *)
        voice=${voices[$source]}
        apt-get install -y -q ffmpeg "asterisk-core-sounds-${voice:0:2}-g722"
        mkdir -p "$folder/$source"
        (cd "/usr/share/asterisk/sounds/$voice" && find . -name '*.g722') | while read -r file; do
            name=$(echo "${file#./}" | tr / _)
            ffmpeg -nostdin -loglevel error -y -f g722 -i "/usr/share/asterisk/sounds/$voice/$file" "$folder/$source/${name%.g722}.wav"
        done
        ;;
    esac
done
