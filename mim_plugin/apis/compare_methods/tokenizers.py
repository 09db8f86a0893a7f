"""Tokenizers that an arm makes from the training images; their time is the arm's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mmengine.config import Config

from mim_plugin.apis.compare_methods.options import TOKENIZER_SHARE
from mim_plugin.apis.compare_methods.training import arm_config, epochs_within, measure_epoch, train
from mim_plugin.apis.fit_codes import fit_codes
from mim_plugin.apis.long_commands.machine import now
from mim_plugin.apis.long_commands.runs import loader_processes
from mim_plugin.apis.run import find_last_checkpoint

if TYPE_CHECKING:
    from mim_plugin.apis.compare_methods.arms import Bench

__all__ = ['TOKENIZERS']

DVAE_CONFIG = 'dvae_mini-p8.py'


def train_dvae(bench: Bench, arm: str, cfg: Config, seed: int, title: str) -> dict:
    """Trains a discrete autoencoder for a quarter of the time of one training.

    Args:
        bench: What all arms share.
        arm: Name of the arm.
        cfg: Its config.
        seed: Seed of everything random.
        title: What is trained, for people.

    Returns:
        ``file``, ``seconds`` and what the training cost and logged.
    """
    setting = bench.setting(arm)
    # Changes of a model are those of the arm's.
    changes = {key: value for key, value in setting.changes.items() if not key.startswith('model.')}
    dvae = arm_config(DVAE_CONFIG, replace(setting, changes=changes), bench.classes.train)
    seconds = setting.final_seconds * TOKENIZER_SHARE
    epoch = measure_epoch(dvae, bench.folder(arm, 'dvae-speed'), seconds)
    epochs = epochs_within(seconds, epoch, title, bench.options.minutes)
    folder = bench.folder(arm, f'dvae{seed}')
    training = train(dvae, folder, seed, epochs, None, title, bench.progress)
    return {'file': find_last_checkpoint(folder), **training.figures}


def fit_kmeans(bench: Bench, arm: str, cfg: Config, seed: int, title: str) -> dict:
    """Fits k-means codes to the training images; arguments and result as of :func:`train_dvae`."""
    begin = now()
    file = bench.folder(arm, f'codes{seed}.safetensors')
    report = fit_codes(cfg, out=str(file), seed=seed, workers=loader_processes())
    return {
        'file': str(file),
        'seconds': round(now() - begin, 2),
        'codes': report.num_codes,
        'used': report.used,
        'perplexity': round(report.perplexity, 1),
    }


TOKENIZERS = {'dvae': train_dvae, 'kmeans': fit_kmeans}
