#!/usr/bin/env bash
# Measure Dia-1.6B with random weights on this machine's GPU in at most 8 minutes: the CUDA tests, then decoding, batches, first
# audio and training. Further arguments are keys of `python -m dia.bench suite`.
#
#     bash scripts/measure_gpu.sh gpu.json
#     bash scripts/measure_gpu.sh cpu.json device=cpu model=nano codec=codec_nano 'variants=[dia-fp32]' 'batches=[2]' minutes=2
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?name the JSON file to write}
shift
timeout 90 "${PYTHON:-python}" -m pytest -q -p no:cacheprovider tests/gpu || echo "the CUDA tests did not pass within 90 s" >&2
exec "${PYTHON:-python}" -m dia.bench suite minutes=6.2 out="$out" "$@"
