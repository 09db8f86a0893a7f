"""Make PyPI's torchvision import beside a CPU build of torch.

The wheels of torchvision on PyPI for Linux are CUDA builds. Beside a CPU build of
torch their compiled library does not load, which torchvision would bear, were it
not that it describes two of the library's operators at import. Declaring these
two operators when the library is missing is enough for everything that does not
call a compiled operator of torchvision.

Nothing but the standard library is imported here: the file also runs by its path,
``python torchvision_repair.py``, in an environment that is still being made.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ['import_error', 'repair']

MARK = '# Declared by mim_plugin: '
ADDITION = f"""

{MARK}the compiled library does not fit this torch, and these operators are described at import.
if not _has_ops():
    _declared = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _declared.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def import_error() -> str | None:
    """Say why torchvision does not import in a new process of this interpreter, or None if it does."""
    run = subprocess.run([sys.executable, '-c', 'import torchvision'], capture_output=True, text=True)
    return run.stderr.strip().rpartition('\n')[2] if run.returncode else None


def repair() -> str:
    """Declare the missing operators in the installed torchvision, if that is its trouble.

    Returns:
        What was found and done, one sentence.

    Raises:
        RuntimeError: torchvision fails for another reason, or still fails.
    """
    error = import_error()
    if error is None:
        return 'torchvision imports.'
    spec = importlib.util.find_spec('torchvision')
    if spec is None or spec.origin is None:
        return 'torchvision is not installed.'
    if 'nms does not exist' not in error:
        raise RuntimeError(f'torchvision does not import ({error}); install the release that fits your torch.')
    path = Path(spec.origin).with_name('extension.py')
    text = path.read_text()
    if MARK not in text:
        _replace(path, text + ADDITION)
    error = import_error()
    if error is not None:
        raise RuntimeError(f'torchvision still does not import after the repair ({error}); reinstall it.')
    return 'torchvision did not fit this build of torch; its operators nms and qnms were declared and it imports now.'


def _replace(path: Path, text: str) -> None:
    # Installers hard-link files to their cache: writing in place would change every environment of this machine.
    with tempfile.NamedTemporaryFile('w', dir=path.parent, suffix='.py', delete=False) as file:
        file.write(text)
    os.chmod(file.name, path.stat().st_mode)
    os.replace(file.name, path)


if __name__ == '__main__':
    try:
        print(repair())
    except RuntimeError as error:
        sys.exit(f'error: {error}')
