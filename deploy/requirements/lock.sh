#!/bin/sh
# Resolves *.in into fully pinned *.txt with uv, for every Python from 3.11 on.
# Run through `make lock`; an upgrade is one commit.
set -eu
here=$(dirname "$0")
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"$1" -m venv "$tool"
"$tool/bin/pip" install --quiet uv==0.13.8
cd "$here"

compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-annotate \
        --custom-compile-command "make lock" "$@"
}

# torch's CPU build: from where pip is configured to look, else from PyTorch's own index.
UV_FIND_LINKS=${PIP_FIND_LINKS:-https://download.pytorch.org/whl/cpu/torch/} \
    compile --override cpu.overrides cpu.in -o cpu.txt
compile cuda.in -o cuda.txt
compile load.in -o load.txt
compile dev.in -o dev.txt
