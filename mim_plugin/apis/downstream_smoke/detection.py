"""Detection: four images learnt by heart, and what that is worth on others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mim_plugin.apis.downstream_smoke.data import use_validation_images
from mim_plugin.apis.downstream_smoke.training import percent, run_test, train
from mim_plugin.apis.run import prepare_config

if TYPE_CHECKING:
    from mim_plugin.apis.downstream_smoke.job import Smoke

__all__ = ['train_detector']


def train_detector(smoke: Smoke, name: str, start: str, seed: int) -> dict:
    """As :func:`train`, with ``validation``: box and mask AP in percent on images that were not learnt."""
    found = train(smoke, name, start, seed)
    checkpoint = Path(found['checkpoint'])
    cfg = use_validation_images(prepare_config(found['config']), smoke.data)
    others = run_test(cfg, checkpoint, checkpoint.parent / 'validation')
    return found | {'validation': percent(smoke.task(name), others)}
