#!/usr/bin/env bash
# Check out the programs written for nari-labs/dia that tests/end_to_end/test_programs.py runs unchanged.
#   bash scripts/fetch_programs.sh FOLDER && DIA_PROGRAMS=FOLDER pytest tests/end_to_end/test_programs.py
set -euo pipefail

folder=${1:?name a folder}
while read -r repository commit; do
    mkdir -p "$folder/$repository"
    git -C "$folder/$repository" init --quiet
    git -C "$folder/$repository" fetch --quiet --depth 1 "https://github.com/$repository" "$commit"
    git -C "$folder/$repository" checkout --quiet FETCH_HEAD
done <<'END'
nari-labs/dia 876125e461a03b157ec905b0fe8b57a0f8b9e7a0
devnen/Dia-TTS-Server 14c8db426b4d5934da71fc5575f0e424eaf7fc45
zsxkib/cog-dia c3da4980d9c44c66846b0d74c4fcb81c6517dee3
nobrainX2/comfyUI-customDia 6a7e4d671d9e719f0d28fc723fbf7da35d6a534d
END
