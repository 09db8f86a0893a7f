"""Reference cases computed by the published implementations, and how ours answers them.

A case is a folder with ``case.json`` and ``tensors.safetensors``. Its ``kind`` chooses
the handler, which computes every quantity with the parts that a training run uses.
"""

from mim_plugin.testing.golden.case import Case, find_cases, load_case
from mim_plugin.testing.golden.verify import UnknownCase, run_case, verify

__all__ = ['Case', 'UnknownCase', 'find_cases', 'load_case', 'run_case', 'verify']
