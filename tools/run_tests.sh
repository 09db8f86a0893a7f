#!/usr/bin/env bash
# Checks everything: the style, then every test, those of detection, classification and export included.
#
#   bash tools/run_tests.sh [arguments of pytest]     e.g.  bash tools/run_tests.sh -x tests/test_packaging
#
# The first run makes .venv and compiles the operators of mmcv once (about 10 minutes on two idle cores); later runs
# start at once. MIM_ENV=current runs in the active environment (see tools/setup.sh). Tests run on the CPU;
# `MIM_TEST_GPU=1 bash tools/run_tests.sh -m gpu` runs those that need a GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

setup=(--extra classification --extra detection --extra export --extra convert --print-python)
# torchvision is mended only in an environment of our own.
if [ "${MIM_ENV-}" != current ]; then setup+=(--fix-torchvision); fi
python=$(bash tools/setup.sh "${setup[@]}")

style=0
"$python" -m ruff check . || style=$?
MPLBACKEND=Agg "$python" -m pytest --durations=10 "$@"
if [ $style -ne 0 ]; then
    echo 'error: all tests passed, but ruff found faults of style; they are listed before the tests.' >&2
    exit $style
fi
