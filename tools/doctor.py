"""Show what is installed, what works, and what to type to mend the rest: python tools/doctor.py.

Exits with 1 if something is broken, else with 0.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

# Beside the package in a checkout, inside it (in mim_plugin/.mim/tools) when installed.
CANDIDATES = ('mim_plugin/apis/doctor.py', '../apis/doctor.py')


def load_doctor() -> ModuleType:
    """Load the doctor by its path: importing its package would need mmengine, which may be what is missing."""
    root = Path(__file__).resolve().parent.parent
    path = next(root / candidate for candidate in CANDIDATES if (root / candidate).is_file())
    spec = importlib.util.spec_from_file_location('mim_plugin_doctor', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> int:
    doctor = load_doctor()
    findings = doctor.examine()
    print(doctor.format_table(findings))
    if doctor.is_healthy(findings):
        print('\nNothing is broken.')
        return 0
    print('\nLines marked BROKEN need mending, from the top down.')
    return 1


if __name__ == '__main__':
    sys.exit(main())
