#!/usr/bin/env bash
# Builds a wheel of mmcv with its compiled operators, once, and prints the path of the wheel.
#
#   tools/build_mmcv_ops.sh PYTHON      (the interpreter of an environment with torch, setuptools, wheel, ninja and pip)
#
# mmcv is published as source only. An ordinary install builds it in an isolated environment, where there is no torch,
# and leaves the operators out without a word. Detection needs them; pretraining and segmentation do not.
# The wheel is kept in ${XDG_CACHE_HOME:-~/.cache}/mim_plugin/wheels, in a folder named after everything it depends on.
set -euo pipefail

python=${1:?usage: tools/build_mmcv_ops.sh PYTHON}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

requirement=$(grep -E '^onedl-mmcv==' "$here/constraints.txt" | cut -d ' ' -f 1) ||
    die "constraints.txt has no line 'onedl-mmcv==VERSION', so there is no version to build; restore the line."
key=$("$python" - "$requirement" <<'PY'
import platform, sys
import torch
device = 'cuda' + torch.version.cuda if torch.cuda.is_available() else 'cpu'
python = f'cp{sys.version_info.major}{sys.version_info.minor}'
print(sys.argv[1].replace('==', '-'), f'torch-{torch.__version__}', python, device, platform.machine(), sep='_')
PY
) || die "$python cannot import torch; run tools/setup.sh, which installs it before the operators are built."
store=${XDG_CACHE_HOME:-$HOME/.cache}/mim_plugin/wheels/$key
mkdir -p "$store"
if command -v flock >/dev/null; then  # two runs at once would compile in one folder
    exec 9>"$store/lock"
    flock -n 9 || { say "Another run is compiling the operators of mmcv; waiting for it"; flock 9; }
fi
wheel=$(find "$store" -maxdepth 1 -name '*.whl' | head -n 1)
if [ -n "$wheel" ]; then
    printf '%s\n' "$wheel"
    exit 0
fi

command -v "${CXX:-c++}" >/dev/null ||
    die "no C++ compiler ('${CXX:-c++}') was found to build the operators of mmcv; install one (Debian: apt-get install g++)."

# The source stays until the wheel is there: a build that was interrupted goes on where it stopped.
source=$store/source
log=$store/build.log
export MMCV_WITH_OPS=1 CFLAGS='-O1 -g0 -w' CXXFLAGS='-O1 -g0 -w'
PATH=$(dirname "$("$python" -c 'import sys; print(sys.executable)')"):$PATH  # where ninja is
if [ ! -f "$source/setup.py" ]; then
    "$python" -m pip download "$requirement" --no-deps --no-build-isolation --no-binary "${requirement%%==*}" \
        --dest "$store" >"$log" 2>&1 || die "the source of $requirement could not be downloaded; see $log."
    rm -rf "$source" "$source.new"
    mkdir "$source.new"
    tar -xzf "$store"/*.tar.gz --strip-components 1 -C "$source.new"
    mv "$source.new" "$source"
fi

jobs=${MAX_JOBS:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
export MAX_JOBS=$jobs
start=$SECONDS
say "Compiling the operators of $requirement with $jobs job(s): about 10 minutes on two idle cores; log: $log"
set -m  # a process group of its own, so that the compilers end with this script
"$python" -m pip wheel "$source" --verbose --no-deps --no-build-isolation --no-cache-dir \
    --wheel-dir "$store/new" >"$log" 2>&1 9>&- &
build=$!
set +m
trap 'kill -- -$build 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
minutes() { printf '%d min %02d s' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)); }
said=$SECONDS
while kill -0 $build 2>/dev/null; do
    sleep 1
    if [ $((SECONDS - said)) -ge 20 ]; then
        said=$SECONDS
        count=$(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$log" | tail -n 1 | tr -d ' []' || true)
        say "  operators of mmcv: ${count:-0} objects built, $(minutes)"
    fi
done
if ! wait $build; then
    tail -n 30 "$log" >&2
    die "the operators of mmcv did not compile ($(minutes)); the last lines are above, the whole log is $log; running this again goes on where it stopped."
fi
wheel=$(find "$store/new" -maxdepth 1 -name '*.whl' | head -n 1)
content=$("$python" -m zipfile -l "$wheel")
if ! grep -qE 'mmcv/_ext.*\.(so|pyd)' <<<"$content"; then
    die "the wheel of $requirement was built without its operators; see $log."
fi
mv "$wheel" "$store/"
rm -rf "$source" "$store/new" "$store"/*.tar.gz
say "Built in $(minutes): $store/$(basename "$wheel")"
printf '%s\n' "$store/$(basename "$wheel")"
