"""Say what an environment holds, what of it works, and what to type to mend the rest.

Nothing but the standard library is imported at the top, and nothing of mim_plugin:
the doctor must also work where torch or mmengine is missing.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import platform
import re
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version

__all__ = ['Finding', 'examine', 'format_table', 'is_healthy', 'operators_command']

FAMILIES = {
    'maintained': {
        'mmengine': 'onedl-mmengine',
        'mmcv': 'onedl-mmcv',
        'mmseg': 'onedl-mmsegmentation',
        'mmdet': 'onedl-mmdetection',
        'mmpretrain': 'onedl-mmpretrain',
    },
    'original': {
        'mmengine': 'mmengine',
        'mmcv': 'mmcv',
        'mmseg': 'mmsegmentation',
        'mmdet': 'mmdet',
        'mmpretrain': 'mmpretrain',
    },
}
PURPOSE = {
    'mmcv': 'segmentation, detection, classification',
    'mmseg': 'segmentation',
    'mmdet': 'detection',
    'mmpretrain': 'classification',
    'timm': 'mmpretrain, and comparing with its models',
    'torchvision': 'mmpretrain and timm',
}
MARKS = {'ok': 'ok', 'absent': '-', 'broken': 'BROKEN'}


@dataclass
class Finding:
    """One line of the doctor's table.

    Attributes:
        name: What was looked at.
        found: What is there, in a few words.
        state: 'ok'; 'absent' for something optional that is not installed; 'broken' for
            something that is needed and missing, or that is installed and does not work.
        remedy: What to type, or why it matters; empty when there is nothing to do.
    """

    name: str
    found: str
    state: str = 'ok'
    remedy: str = ''


def examine() -> list[Finding]:
    """Look at the running interpreter's environment.

    Returns:
        The findings, in the order in which troubles should be mended.
    """
    family, families = _family()
    findings = [_python(), _families(families), _torch(), _device()]
    findings += [_required(name) for name in ('numpy', 'PIL', 'safetensors')]
    findings += [_mmengine(family), _opencv(), _toolbox('mmcv', family), _operators(family)]
    findings += [_toolbox(name, family) for name in ('mmseg', 'mmdet', 'mmpretrain')]
    findings += [_torchvision(), _optional('timm', 'timm', PURPOSE['timm'])]
    findings += [
        _optional('sklearn', 'scikit-learn', 'the quickstart and linear evaluation'),
        _optional('skimage', 'scikit-image', 'images of the quickstart'),
        _optional('matplotlib', 'matplotlib', 'figures'),
        _optional('elpv_dataset', 'elpv-dataset', 'images of the quickstart'),
        _mim_plugin(),
    ]
    return findings


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Tell whether nothing is broken; optional packages may be absent."""
    return all(finding.state != 'broken' for finding in findings)


def format_table(findings: Iterable[Finding]) -> str:
    """Lay findings out as a table with one line each."""
    rows = [('what', 'found', '', 'to do')]
    rows += [(finding.name, finding.found, MARKS[finding.state], finding.remedy) for finding in findings]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    rows.insert(1, tuple('-' * width for width in (*widths, len('to do'))))
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, (*widths, 0))) for row in rows]
    return '\n'.join(line.rstrip() for line in lines)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _import(name: str) -> str | None:
    """Import a module quietly; the reason in one line if that fails, else None."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            importlib.import_module(name)
    except Exception as error:  # a broken package may raise anything
        message = str(error).strip().partition('\n')[0]
        return f'{type(error).__name__}: {message}'[:160]
    return None


def _python() -> Finding:
    found = platform.python_version()
    if (3, 10) <= sys.version_info < (3, 13):
        return Finding('Python', found)
    return Finding('Python', found, 'broken', 'make an environment with Python 3.10, 3.11 or 3.12')


def _family() -> tuple[str | None, dict[str, list[str]]]:
    """The family that holds mmengine, and the installed distributions of each family."""
    families = {
        name: [distribution for distribution in table.values() if _version(distribution)]
        for name, table in FAMILIES.items()
    }
    families['original'] += ['mmcv-lite'] if _version('mmcv-lite') else []
    family = next((name for name, table in FAMILIES.items() if _version(table['mmengine'])), None)
    return family, families


def _families(families: dict[str, list[str]]) -> Finding:
    present = [name for name, found in families.items() if found]
    if len(present) < 2:
        return Finding('OpenMMLab family', present[0] if present else 'none')
    names = ' '.join(families['original'] + families['maintained'])
    remedy = f'they overwrite each other: pip uninstall {names}, then install one family again'
    return Finding('OpenMMLab family', 'both', 'broken', remedy)


def _torch() -> Finding:
    error = _import('torch')
    if error:
        found = _version('torch') or 'missing'
        return Finding('torch', found, 'broken', f'pip install torch ({error})' if found == 'missing' else error)
    import torch

    build = f'CUDA {torch.version.cuda} build' if torch.version.cuda else 'CPU build'
    found = f'{torch.__version__} ({build})'
    if tuple(int(part) for part in torch.__version__.split('.')[:2]) < (2, 4):
        return Finding('torch', found, 'broken', "pip install 'torch>=2.4'")
    return Finding('torch', found)


def _device() -> Finding:
    if 'torch' not in sys.modules:
        return Finding('device', 'unknown', 'absent', 'torch first')
    import torch

    if torch.cuda.is_available():
        return Finding('device', f'{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}')
    if getattr(torch.backends, 'mps', None) and torch.backends.mps.is_available():
        return Finding('device', 'MPS')
    if torch.version.cuda:
        remedy = 'a CUDA build of torch without a usable GPU; with a GPU, compare nvidia-smi with the CUDA release'
        return Finding('device', 'CPU only', 'absent', remedy)
    return Finding('device', 'CPU only')


def _required(module: str) -> Finding:
    name = {'PIL': 'pillow'}.get(module, module)
    error = _import(module)
    if error:
        return Finding(name, _version(name) or 'missing', 'broken', f'pip install {name} ({error})')
    return Finding(name, _version(name) or 'no metadata')


def _optional(module: str, name: str, purpose: str) -> Finding:
    found = _version(name)
    if found is None:
        return Finding(name, 'not installed', 'absent', f'for {purpose}: pip install {name}')
    error = _import(module)
    return Finding(name, found, 'broken', error) if error else Finding(name, found)


def _mmengine(family: str | None) -> Finding:
    if family is None:
        return Finding('mmengine', 'missing', 'broken', 'pip install onedl-mmengine (or mmengine, the original family)')
    found = f'{_version(FAMILIES[family]["mmengine"])} ({FAMILIES[family]["mmengine"]})'
    error = _import('mmengine.runner')
    if error and 'pkg_resources' in error:
        error = f"pip install 'setuptools<81' ({error})"
    return Finding('mmengine', found, 'broken', error) if error else Finding('mmengine', found)


def _opencv() -> Finding:
    # mmengine's hooks import it, though the maintained family leaves asking for it to mmcv.
    names = ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python')
    found = {name: _version(name) for name in names if _version(name)}
    text = ', '.join(f'{release} ({name})' for name, release in found.items())
    error = _import('cv2')
    if error and 'libGL' in error:
        error = f'pip uninstall opencv-python && pip install opencv-python-headless ({error})'
    elif error and not found:
        return Finding('opencv', 'missing', 'broken', 'mmengine needs it: pip install opencv-python')
    elif len(set(found.values())) > 1:
        names = ' '.join(f'{name}==4.11.0.86' for name in found)
        error = f'packages that share their files must be of one version: pip install {names}'
    return Finding('opencv', text, 'broken', error) if error else Finding('opencv', text or 'no metadata')


def _toolbox(module: str, family: str | None) -> Finding:
    name = FAMILIES[family or 'maintained'][module]
    found = _version(name) or (_version('mmcv-lite') if module == 'mmcv' else None)
    if found is None:
        return Finding(module, 'not installed', 'absent', f'for {PURPOSE[module]}: pip install {name}')
    error = _import(module if module == 'mmcv' else f'{module}.models')
    if error is None:
        return Finding(module, found)
    if 'mmcv._ext' in error:
        return Finding(module, found, 'broken', f'{module} needs the operators of mmcv, see above')
    if 'torchvision::nms' in error:
        return Finding(module, found, 'broken', f'{module} needs a torchvision that works, see torchvision')
    return Finding(module, found, 'broken', error)


def _operators(family: str | None) -> Finding:
    name = FAMILIES[family or 'maintained']['mmcv']
    found = _version(name)
    if found is None or _import('mmcv'):
        return Finding('mmcv operators', 'none', 'absent', 'for detection; come with mmcv')
    error = _import('mmcv._ext')
    if error is None:
        return Finding('mmcv operators', 'compiled')
    rebuild = _rebuild(name, found)
    if 'No module named' not in error:
        return Finding('mmcv operators', 'do not load', 'broken', f'compiled for another torch? {rebuild}')
    needed = _version(FAMILIES[family or 'maintained']['mmdet']) is not None
    return Finding('mmcv operators', 'missing', 'broken' if needed else 'absent', f'for detection: {rebuild}')


def operators_command() -> str:
    """The command that gives this environment an mmcv with compiled operators."""
    name = FAMILIES[_family()[0] or 'maintained']['mmcv']
    return _rebuild(name, _version(name) or '2.1.0')


def _rebuild(name: str, release: str) -> str:
    if name == 'onedl-mmcv':
        return 'bash tools/setup.sh --extra detection (MIM_ENV=current for the active environment)'
    options = f'--no-build-isolation --no-binary {name} --force-reinstall --no-deps'
    return f'MMCV_WITH_OPS=1 pip install {options} {name}=={release}'


def _torchvision() -> Finding:
    found, command = _version('torchvision'), _fitting_torchvision()
    if found is None:
        return Finding('torchvision', 'not installed', 'absent', f'for {PURPOSE["torchvision"]}: {command}')
    error = _import('torchvision')
    return Finding('torchvision', found, 'broken', f'{command} ({error})') if error else Finding('torchvision', found)


def _fitting_torchvision() -> str:
    """The command that installs the torchvision made for the installed torch."""
    release, _, build = (_version('torch') or '').partition('+')
    numbers = re.fullmatch(r'2\.(\d+)\.(\d+)', release)
    if numbers is None:
        return 'pip install torchvision'
    # torchvision 0.15 came with torch 2.0, and the two have kept step since.
    command = f'pip install --no-deps torchvision==0.{int(numbers[1]) + 15}.{numbers[2]}'
    return f'{command} --index-url https://download.pytorch.org/whl/{build}' if build else command


def _mim_plugin() -> Finding:
    found = _version('mim_plugin')
    if found is None:
        return Finding('mim_plugin', 'not installed', 'absent', 'runs from its checkout only: pip install -e .')
    error = _import('mim_plugin')
    if error:
        return Finding('mim_plugin', found, 'broken', error)
    where = str(distribution('mim_plugin').locate_file(''))
    origin = sys.modules['mim_plugin'].__file__ or where
    return Finding('mim_plugin', found if origin.startswith(where) else f'{found} (editable)')
