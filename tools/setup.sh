#!/usr/bin/env bash
# Make the environment in .venv: the package with what it needs; `setup.sh dev` adds what the tests need.
# PYTHON chooses the interpreter, PIP_ARGS goes to pip (for instance another index for CPU-only torch).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extra=${1:+[$1]}
echo "making .venv and fetching torch and the rest: minutes, some GB with CUDA; a second call takes seconds"
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
# shellcheck disable=SC2086
.venv/bin/python -m pip install --disable-pip-version-check ${PIP_ARGS:-} -e ".$extra"
.venv/bin/python -c 'import torch, torchvision; print(f"ready: torch {torch.__version__}, torchvision {torchvision.__version__}, CUDA {torch.cuda.is_available()}")'
