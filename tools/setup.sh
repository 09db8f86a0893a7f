#!/usr/bin/env bash
# Makes the environment that the quickstart, the tests and the tools run in. A second run is a matter of a second.
#
#   bash tools/setup.sh [--extra NAME]... [--fix-torchvision] [--print-python]
#
#   --extra NAME        also install what NAME needs: segmentation, classification, export (ONNX), convert
#                       (Hugging Face's transformers) or detection (which compiles the operators of mmcv: about
#                       10 minutes on two idle cores, once); repeat for several
#   --fix-torchvision   make PyPI's torchvision (a CUDA build) import beside a CPU build of torch
#   --print-python      print the path of the environment's interpreter on stdout; all messages go to stderr anyway
#
#   MIM_ENV       folder of the environment [.venv in the checkout], or 'current' for the active one, where nothing
#                 that is installed is replaced
#   MIM_PYTHON    interpreter to make the environment with [python3.11, python3.12 or python3.10, whichever is found]
#   MIM_INSTALLER 'uv' or 'pip' [uv when it is or can be installed, else pip]
#   MIM_TORCH_INDEX  package index for torch and torchvision, such as https://download.pytorch.org/whl/cu126
#                 [a wheel found by pip's find-links; else the CPU index on Linux without an NVIDIA GPU; else PyPI]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cpu_index=https://download.pytorch.org/whl/cpu
free_gb_needed=8

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
pinned() { grep -E "^$1==" "$root/constraints.txt" | head -n 1 | cut -d ' ' -f 1; }

# --- arguments ------------------------------------------------------------------------------------------------------
features=quickstart
print_python=no
while [ $# -gt 0 ]; do
    case $1 in
        --extra)
            case ${2-} in
                quickstart) ;;
                segmentation | classification | detection | export | convert) features="$features $2" ;;
                *) die "--extra '${2-}' is unknown; choose quickstart, segmentation, classification, detection, export or convert." ;;
            esac
            shift ;;
        --fix-torchvision) features="$features fix-torchvision" ;;
        --print-python) print_python=yes ;;
        -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "argument '$1' is unknown; see tools/setup.sh --help." ;;
    esac
    shift
done
wanted() { case " $features " in *" $1 "*) true ;; *) false ;; esac; }

# --- the interpreter and the environment ------------------------------------------------------------------------------
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
supported() { case $1 in 3.10 | 3.11 | 3.12) true ;; *) false ;; esac; }

find_base_python() {
    local candidate version seen=
    if [ -n "${MIM_PYTHON-}" ]; then
        version=$(version_of "$MIM_PYTHON") || die "MIM_PYTHON=$MIM_PYTHON does not run; set it to a Python 3.10 to 3.12."
        if supported "$version"; then command -v "$MIM_PYTHON"; return; fi
        die "MIM_PYTHON=$MIM_PYTHON is Python $version, and mim_plugin needs 3.10, 3.11 or 3.12; set it to one of these."
    fi
    for candidate in python3.11 python3.12 python3.10 python3 python; do
        version=$(version_of "$candidate") || continue
        if supported "$version"; then command -v "$candidate"; return; fi
        seen="$seen $candidate is $version;"
    done
    die "Python 3.10, 3.11 or 3.12 is needed and none was found (${seen:- no Python at all;}); install one, or name it with MIM_PYTHON=/path/to/python."
}

check_disk() {
    local free
    free=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge "$free_gb_needed" ] ||
        die "$1 has $free GB of free disk and an environment takes up to $free_gb_needed GB; free some, or put it elsewhere with MIM_ENV=/path/of/environment."
}

make_environment() {  # folder
    local base version
    if version=$(version_of "$1/bin/python"); then
        supported "$version" || die "$1 has Python $version, and mim_plugin needs 3.10, 3.11 or 3.12; remove that folder or choose another with MIM_ENV."
        if [ -n "${MIM_PYTHON-}" ] && [ "$version" != "$(version_of "$MIM_PYTHON")" ]; then
            die "$1 was made with Python $version, not with MIM_PYTHON=$MIM_PYTHON; remove that folder or choose another with MIM_ENV."
        fi
        return
    fi
    base=$(find_base_python) || exit 1
    if [ -d "$1" ] && [ ! -f "$1/pyvenv.cfg" ] && [ -n "$(ls -A "$1")" ]; then
        die "$1 is not an environment of Python and is not empty; choose another folder with MIM_ENV."
    fi
    mkdir -p "$1"
    check_disk "$1"
    say "Making the environment $1 with $base (Python $(version_of "$base"))"
    if ! "$base" -m venv --clear "$1" >/dev/null 2>&1; then
        command -v uv >/dev/null && uv venv --quiet --clear --seed --python "$base" "$1" ||
            die "'$base -m venv' failed; install its venv module (Debian: apt-get install python$(version_of "$base")-venv)."
    fi
}

use_current_environment() {
    python=$(command -v "${MIM_PYTHON:-python}" || command -v python3) || die "MIM_ENV=current needs a python on the PATH; activate an environment first."
    supported "$(version_of "$python")" ||
        die "the active environment has Python $(version_of "$python"), and mim_plugin needs 3.10, 3.11 or 3.12; activate another, or leave MIM_ENV out."
    python=$("$python" -c 'import sys; print(sys.executable)')
    "$python" - <<'PY' || exit 1
import os, sys, sysconfig
from importlib.metadata import PackageNotFoundError, version

def installed(name):
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False

original = [n for n in ('mmengine', 'mmcv', 'mmcv-lite', 'mmsegmentation', 'mmdet', 'mmpretrain') if installed(n)]
maintained = [n for n in ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation', 'onedl-mmdetection',
                          'onedl-mmpretrain') if installed(n)]
if original and maintained:
    sys.exit(f'error: this environment holds packages of both OpenMMLab families ({", ".join(original)} and '
             f'{", ".join(maintained)}), which overwrite each other\'s files; make a new environment, or '
             f'`pip uninstall {" ".join(original + maintained)}` and install one family again.')
if sys.prefix == sys.base_prefix and os.path.exists(os.path.join(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')):
    sys.exit('error: MIM_ENV=current was given but no environment is active, and the Python of the system is not to be '
             'changed; activate one, or leave MIM_ENV out and .venv is made.')
PY
}

# --- has it been done? ------------------------------------------------------------------------------------------------
# The stamp holds a hash of all that decides what gets installed, then the features that are installed.
fingerprint() {
    "$python" - "$root" <<'PY'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
files = ['setup.cfg', 'pyproject.toml', 'constraints.txt', 'tools/setup.sh', 'tools/build_mmcv_ops.sh']
digest = hashlib.sha256(f'{root}\n{sys.version}\n'.encode())
for name in files:
    digest.update((root / name).read_bytes())
print(digest.hexdigest())
PY
}

# Is the distribution there (at that version, a local part such as +cpu aside)?
installed() {  # name [version]
    "$python" -I - "$@" <<'PY'
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    found = version(sys.argv[1]).partition('+')[0]
except PackageNotFoundError:
    sys.exit(1)
sys.exit(sys.argv[2:] not in ([], [found]))
PY
}

up_to_date() {
    local feature
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$print" ] || return 1
    for feature in $features; do
        grep -qx "$feature" "$stamp" || return 1
    done
    installed torch && installed mim_plugin
}

write_stamp() {
    local before=
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$print" ] && before=$(tail -n +2 "$stamp")
    { echo "$print"; printf '%s\n' $before $features | sort -u; } >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

# --- installing -------------------------------------------------------------------------------------------------------
ensure_pip() {
    if "$python" -m pip --version >/dev/null 2>&1; then return; fi
    "$python" -m ensurepip >/dev/null 2>&1 || { command -v uv >/dev/null && uv pip install --python "$python" pip; } ||
        die "$python has no pip; install it (Debian: apt-get install python3-pip) or make a new environment."
}

choose_installer() {
    export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}"
    local value
    pip_setting() { "$python" -m pip config get "$1" 2>/dev/null || true; }
    find_links="${PIP_FIND_LINKS-} $(pip_setting global.find-links)"
    uv_arguments=()
    for value in $(printf '%s\n' $find_links | sort -u); do
        # uv stops at a folder that does not exist, pip passes over it.
        case $value in *://*) ;; *) [ -e "$value" ] || continue ;; esac
        uv_arguments+=(--find-links "$value")
    done
    value=${PIP_INDEX_URL:-$(pip_setting global.index-url)}
    [ -z "$value" ] || [ -n "${UV_DEFAULT_INDEX-}" ] || uv_arguments+=(--default-index "$value")

    installer=${MIM_INSTALLER:-uv}
    [ "$installer" = pip ] && return
    if command -v uv >/dev/null; then uv=uv
    elif [ -x "$(dirname "$python")/uv" ]; then uv=$(dirname "$python")/uv
    elif [ "$environment" != current ] && "$python" -m pip install --quiet uv 2>/dev/null; then uv=$(dirname "$python")/uv
    else installer=pip
    fi
}

install() {
    if [ "$installer" = uv ]; then
        "$uv" pip install --python "$python" ${uv_arguments[@]+"${uv_arguments[@]}"} "$@" && return
        say "uv could not install this; trying once more with pip"
    fi
    "$python" -m pip install --progress-bar off "$@" 2>&1 |
        { grep -vE '^(Requirement already satisfied|WARNING: Location)' || true; } >&2
}

check_index() {
    local folder
    folder=$(mktemp -d)
    if ! "$python" -m pip --retries 1 --timeout 15 download --quiet --no-deps --no-cache-dir --dest "$folder" \
        "$(pinned packaging)" >"$folder/log" 2>&1; then
        tail -n 3 "$folder/log" >&2
        rm -rf "$folder"
        die "no package index can be reached (pip could not download '$(pinned packaging)'); check the network, the proxy (https_proxy) and 'pip config list'."
    fi
    rm -rf "$folder"
}

has_nvidia_gpu() { [ -n "$(nvidia-smi -L 2>/dev/null | grep GPU)" ] || [ -e /proc/driver/nvidia/version ]; }

local_wheel() {  # name version
    local tag folder
    tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
    for folder in $find_links; do
        ls "$folder/$1-$2"*-"$tag"-*.whl >/dev/null 2>&1 && return
    done
    return 1
}

answers() { "$python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=6)' "$1" >/dev/null 2>&1; }

# torch, and torchvision when a toolbox wants it, come first: from one place, so that they fit each other.
install_torch() {
    local names=torch name version index
    if wanted classification || wanted detection; then names='torch torchvision'; fi
    for name in $names; do
        version=$(pinned $name)
        version=${version#*==}
        if installed $name "$version"; then continue; fi
        check_disk "$(dirname "$stamp")"
        index=${MIM_TORCH_INDEX-}
        if [ -z "$index" ] && [ "$(uname -s)" = Linux ] && ! has_nvidia_gpu && ! local_wheel $name "$version"; then
            if answers "$cpu_index/$name/"; then
                index=$cpu_index
            else
                say "$cpu_index cannot be reached: taking PyPI's $name, a CUDA build, though there is no NVIDIA GPU"
            fi
        fi
        say "Installing $name $version${index:+ from $index}"
        # What it needs comes from the ordinary index, in the next step.
        install --no-deps ${index:+--index-url "$index"} "$name==$version" ||
            die "$name $version could not be installed; the installer's message is above."
    done
}

# Constraints that keep every installed distribution at its version.
freeze() {
    "$python" - <<'PY'
from importlib.metadata import distributions
names = {d.metadata['Name']: d.version for d in distributions() if d.metadata['Name']}
print(*(f'{name}=={version}' for name, version in sorted(names.items()) if name != 'mim_plugin'), sep='\n')
PY
}

family() {
    "$python" - <<'PY'
from importlib.metadata import PackageNotFoundError, version
for name in ('mmengine', 'onedl-mmengine'):
    try:
        print(name, version(name))
        break
    except PackageNotFoundError:
        pass
PY
}

install_project() {
    local extras=dev,quickstart,segmentation toolbox toolboxes=segmentation
    for toolbox in classification detection; do
        if wanted $toolbox; then extras="$extras,$toolbox"; toolboxes="$toolboxes $toolbox"; fi
    done
    if wanted export; then extras="$extras,export"; fi
    case $(family) in
        mmengine*) say "This environment has the original OpenMMLab family; its packages stay as they are" ;;
        *) for toolbox in $toolboxes; do extras="$extras,onedl-$toolbox"; done ;;
    esac
    say "Installing mim_plugin[$extras]"
    # Without this variable mmcv would try to compile operators when it happens to find a torch.
    MMCV_WITH_OPS=0 install -c "$constraints" -e "$root[$extras]" ||
        die "the packages of mim_plugin[$extras] could not be installed; the installer's message is above."
}

# Not among the other packages: mmpretrain 1.3.6 fails at import where it finds transformers 5 and pycocotools. What
# else transformers needs comes with torch and mmengine, or serves its command line.
install_transformers() {
    local folder
    if installed transformers; then return; fi
    folder=$("$python" -c 'import sys; print(sys.prefix)')/share/mim_plugin/convert
    say "Installing transformers into $folder"
    install -c "$constraints" huggingface-hub regex tqdm &&
        install --no-deps --upgrade --target "$folder" -c "$root/constraints.txt" transformers tokenizers ||
        die "transformers could not be installed; the installer's message is above."
}

install_operators() {
    local wheel
    if "$python" -c 'import torch, mmcv._ext' 2>/dev/null; then return; fi
    case $(family) in
        mmengine*) die "mmcv of this environment has no compiled operators, which detection needs; rebuild it: MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv --force-reinstall --no-deps mmcv==2.1.0" ;;
    esac
    wheel=$(bash "$root/tools/build_mmcv_ops.sh" "$python") || exit 1
    install --no-deps --force-reinstall "$wheel"
    "$python" -c 'import torch, mmcv._ext' ||
        die "$wheel was installed but 'import mmcv._ext' fails; remove its folder and run this again."
}

# --- main -------------------------------------------------------------------------------------------------------------
start=$SECONDS
environment=${MIM_ENV:-$root/.venv}
if [ "$environment" = current ]; then
    use_current_environment
else
    make_environment "$environment"
    python=$(cd "$environment" && pwd)/bin/python
fi
stamp=$("$python" -c 'import sys; print(sys.prefix)')/.mim_plugin_setup
print=$(fingerprint)
if up_to_date; then
    say "The environment of $python is up to date"
else
    constraints=$root/constraints.txt
    ensure_pip
    check_index
    choose_installer
    if [ "$environment" = current ] && installed torch; then
        constraints=$(mktemp)
        trap 'rm -f "$constraints"' EXIT
        freeze >"$constraints"
    else
        install_torch
    fi
    install_project
    if wanted detection; then install_operators; fi
    if wanted convert; then install_transformers; fi
    if wanted fix-torchvision; then "$python" "$root/mim_plugin/apis/torchvision_repair.py" >&2; fi
    write_stamp
    say "The environment of $python is ready after $((SECONDS - start)) s"
fi
if [ "$print_python" = yes ]; then printf '%s\n' "$python"; fi
