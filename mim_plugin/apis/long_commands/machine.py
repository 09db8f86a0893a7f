"""What figures are measured on, and what a run takes: time and memory."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import re
import time
from pathlib import Path

import torch

from mim_plugin.version import __version__

__all__ = [
    'describe_machine',
    'now',
    'package_versions',
    'peak_memory',
    'place',
    'reset_peak_memory',
]

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmseg', 'sklearn', 'numpy', 'PIL')


def describe_machine(device: str) -> dict[str, object]:
    """What the figures were measured on.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        Processor, cores that this process may use, threads of torch, system, device.
    """
    processor = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = [
            line.split(':', 1)[1].strip() for line in info.read_text().splitlines() if line.startswith('model name')
        ]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return {
        'processor': processor,
        'cores': cores,
        'threads': torch.get_num_threads(),
        'system': platform.platform(),
        'device': torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
    }


def place(machine: dict[str, object]) -> str:
    """The GPU, or the processor and its cores, of a machine that :func:`describe_machine` has described."""
    return machine['device'] if machine['device'] != 'cpu' else f'{machine["cores"]} cores, {machine["processor"]}'


def package_versions() -> dict[str, str]:
    """Versions of Python, of this package and of what it stands on; a missing package is left out."""
    versions = {'python': platform.python_version(), 'mim_plugin': __version__}
    for name in PACKAGES:
        try:
            versions[name] = importlib.import_module(name).__version__
        except ImportError:
            continue
    return versions


def now() -> float:
    """Seconds of a clock, after what the GPU still has to do."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.monotonic()


def reset_peak_memory() -> None:
    """Start measuring :func:`peak_memory` anew, where the system can."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')


def peak_memory() -> float | None:
    """Peak of this process since :func:`reset_peak_memory` in MB (2^20 bytes): the GPU's if there is one, else RAM.

    Libraries count, loader processes do not. None where the system does not tell.
    """
    if torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    status = Path('/proc/self/status')
    found = re.search(r'VmHWM:\s+(\d+) kB', status.read_text()) if status.is_file() else None
    return round(int(found[1]) / 1024) if found else None
