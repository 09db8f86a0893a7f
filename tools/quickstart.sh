#!/usr/bin/env bash
# Installs what is needed, then pretrains, compares, segments and draws in minutes.
#
#   bash tools/quickstart.sh [--data DIR] [--epochs N] [--work-dir D] [--device cpu|cuda] [--seed S] [--resume]
#                            [--checkpoint FILE] [--from-scratch]
#
# The environment is made by tools/setup.sh, whose variables (MIM_ENV, MIM_PYTHON, ...) work here, too.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$(bash "$root/tools/setup.sh" --print-python)
export PYTHONWARNINGS=${PYTHONWARNINGS-ignore} # deprecations inside other packages
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" "$root/tools/quickstart.py" "$@"
