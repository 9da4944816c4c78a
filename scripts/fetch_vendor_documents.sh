#!/usr/bin/env bash
# Fetch the vendors' OpenAPI documents, and Prism, which serves them, for scripts/check_vendors.py.
#   bash scripts/fetch_vendor_documents.sh FOLDER && python scripts/check_vendors.py FOLDER
# ElevenLabs publishes its document at api.elevenlabs.io/openapi.json; tryAGI/ElevenLabs stores it every day.
set -euo pipefail

folder=${1:?name a folder}
while read -r repository commit file; do
    mkdir -p "$folder/$repository"
    git -C "$folder/$repository" init --quiet
    git -C "$folder/$repository" config remote.origin.url "https://github.com/$repository"
    git -C "$folder/$repository" sparse-checkout set --no-cone "/$file"
    git -C "$folder/$repository" fetch --quiet --depth 1 --filter=blob:none origin "$commit"
    git -C "$folder/$repository" checkout --quiet FETCH_HEAD
done <<'END'
openai/openai-openapi f85dbe223d40e1a31cba812ab2d755c7e98a92a3 openapi.json
tryAGI/ElevenLabs 5e7519203beecdec30d2d6e8de0b2f696a625156 src/libs/ElevenLabs/openapi.json
END
npm install --silent --no-audit --no-fund --prefix "$folder" @stoplight/prism-cli@5.16.0
