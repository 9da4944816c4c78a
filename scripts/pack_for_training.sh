#!/usr/bin/env bash
# Pack the package, its codec and a prepared data set without audio into one archive, to train on a machine without network:
#   bash scripts/pack_for_training.sh PREPARED_FOLDER OUT.tar.xz
# There, with the package's dependencies installed:
#   tar xf OUT.tar.xz && cd training && python scripts/train_for_minutes.py 10 +recipe=open trainer=single data.keep_audio=false
set -euo pipefail
prepared=$(realpath "${1:?name a prepared data set}")
out=$(realpath -m "${2:?name the archive}")
python=${PYTHON:-python}
cd "$(dirname "$0")/.."

tokens=$("$python" scripts/store_without_audio.py "$prepared")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/training/prepared" "$work/training/data/models"
git ls-files -z dia configs recipes scripts eval data pyproject.toml README.md LICENSE ':!data/models' |
    tar --null -T - -cf - | tar -C "$work/training" -xf -
cp -r data/models/codec_* "$work/training/data/models/"
cp -r "$tokens" "$work/training/prepared/"
tar -C "$work" -cf - training | xz -T0 -6 >"$out.part"
mv "$out.part" "$out"
echo "$out: $(du -m "$out" | cut -f1) MiB"
