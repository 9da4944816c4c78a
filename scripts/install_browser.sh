#!/usr/bin/env bash
# Install the browser of tests/browser: Debian's Chromium and its driver. Requires root, unless both are installed already.
set -euo pipefail
if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
