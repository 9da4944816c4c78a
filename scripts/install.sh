#!/usr/bin/env bash
# Install the package with all extras into a virtual environment: bash scripts/install.sh PYTHON VENV
# uv needs a third of pip's time; pip is the fallback. Like pip, it compiles: importing lightning without
# bytecode takes three times as long, and PYTHONDONTWRITEBYTECODE, which images set, leaves it uncompiled.
set -euo pipefail
python=$1 venv=$2
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

echo "1/3 virtual environment $venv of $("$python" --version)"
"$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip)
target=(-c constraints.txt -e '.[all]')

# uv does not read pip's settings: pass on pip's indexes, folders and certificates
setting() { "${pip[@]}" config get "$1" 2>/dev/null | tr '\n' ' ' || true; }
pass_on() {
    local value
    value=$(setting ":env:.$2")
    value=${value:-$(setting "global.$2")}
    if [ -n "${value// /}" ] && [ -z "${!1:-}" ]; then
        value=${value%% }
        export "$1=${value// /${3:- }}"
    fi
}

echo "2/3 uv"
if "${pip[@]}" install --quiet -c constraints.txt uv; then
    pass_on UV_DEFAULT_INDEX index-url
    pass_on UV_INDEX extra-index-url
    pass_on UV_FIND_LINKS find-links ,
    pass_on SSL_CERT_FILE cert
    echo "3/3 the package and its dependencies, by uv"
    # like pip, choose the best version from all indexes
    uv=("$venv/bin/uv" pip install --compile-bytecode --python "$venv/bin/python")
    if UV_INDEX_STRATEGY=unsafe-best-match "${uv[@]}" "${target[@]}"; then
        # soundfile has a wheel without its C library too: uv may choose that one where there are several indexes, pip does not
        if ! "$venv/bin/python" -c 'import soundfile' 2>/dev/null; then
            "${pip[@]}" install --quiet --force-reinstall --no-deps -c constraints.txt soundfile
        fi
        exit 0
    fi
    echo "uv could not install the package; using pip" >&2
fi
echo "3/3 the package and its dependencies, by pip: about ten minutes"
"${pip[@]}" install --progress-bar off "${target[@]}"
