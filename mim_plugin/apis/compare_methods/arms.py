"""What is done for an arm: its tokenizer, the choice of its lr, its trainings and their figures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from mim_plugin.apis.compare_methods import scoring
from mim_plugin.apis.compare_methods.options import ARMS, LEARNING_RATES, CompareOptions, Setting
from mim_plugin.apis.compare_methods.results import Results
from mim_plugin.apis.compare_methods.tokenizers import TOKENIZERS
from mim_plugin.apis.compare_methods.training import arm_config, epochs_within, measure_epoch, train
from mim_plugin.apis.long_commands.folders import ClassFolders
from mim_plugin.apis.long_commands.labelled_images import LabelledImages, load_images, load_labelled_images
from mim_plugin.apis.long_commands.progress import Progress
from mim_plugin.errors import ConfigError, NonFiniteLossError
from mim_plugin.registry import MODELS

__all__ = ['Bench', 'final', 'random_network', 'trials']


@dataclass
class Bench:
    """What all arms share.

    Attributes:
        options: What the user chose.
        classes: Folders of the labelled images.
        results: What finished parts found.
        progress: Lines for people, set when the parts are known.
    """

    options: CompareOptions
    classes: ClassFolders
    results: Results
    progress: Progress | None = None

    @cached_property
    def pipeline(self) -> list[dict]:
        """How images are evaluated."""
        return self.config('random').feature_pipeline

    @cached_property
    def train_images(self) -> list[dict]:
        """Labelled training images alone: all that the choice of the lr may look at."""
        return load_images(self.classes.train, self.pipeline)

    @cached_property
    def images(self) -> LabelledImages:
        """Training and test images."""
        return load_labelled_images(self.classes, self.pipeline)

    def setting(self, arm: str) -> Setting:
        """Setting of an arm: that of the call, without time where nothing is trained."""
        setting = self.options.setting
        return setting if ARMS[arm].config else Setting(setting.image_size, 0.0, setting.changes)

    def config(self, arm: str) -> Config:
        """Config of an arm; that of iBOT for the network that is not trained."""
        return arm_config(ARMS[arm].config or ARMS['ibot'].config, self.options.setting, self.classes.train)

    def row(self, arm: str) -> dict:
        """Results of an arm under its setting."""
        return self.results.row(arm, self.setting(arm))

    def folder(self, arm: str, part: str) -> Path:
        """Work folder of a training."""
        label = self.setting(arm).label.replace(', ', '_').replace(' ', '').replace('/', '-')
        return Path(self.options.work_dir) / 'runs' / label / arm / part


def trials(bench: Bench, arm: str) -> None:
    """Chooses the lr: a short training with each, scored by the k-NN vote of the training images on each other.

    A training that diverges is a trial that lost.

    Raises:
        NonFiniteLossError: All of them diverged.
        BudgetError: There is no time for an epoch.
    """
    row, results, seconds = bench.row(arm), bench.results, bench.setting(arm).trial_seconds
    cfg = _with_tokenizer(bench, arm, 0)
    if 'epoch_seconds' not in row:
        bench.progress.say(f'{ARMS[arm].title}: measuring the speed')
        row['epoch_seconds'] = measure_epoch(cfg, bench.folder(arm, 'speed'), seconds)
        results.save()
    epochs = epochs_within(seconds, row['epoch_seconds'], f'A trial of {ARMS[arm].title}', bench.options.minutes)
    for lr in LEARNING_RATES:
        results.once(row['trials'], f'{lr:g}', lambda lr=lr: _trial(bench, arm, cfg, epochs, lr))
    finished = {lr: trial for lr, trial in row['trials'].items() if trial['knn'] is not None}
    if not finished:
        raise NonFiniteLossError(f'{ARMS[arm].title} diverged with every lr of {LEARNING_RATES}; see the logs.')
    # Longer than the first measurement, and with everything that an epoch costs.
    row['epoch_seconds'] = sum(t['seconds'] for t in finished.values()) / sum(t['epochs'] for t in finished.values())
    row['lr'] = float(max(finished, key=lambda lr: finished[lr]['knn']))
    results.save()


def _trial(bench: Bench, arm: str, cfg: Config, epochs: int, lr: float) -> dict:
    folder = bench.folder(arm, f'lr{lr:g}')
    try:
        training = train(cfg, folder, 0, epochs, lr, f'{ARMS[arm].title}, lr {lr:g}', bench.progress)
    except NonFiniteLossError as error:
        bench.progress.say(f'{ARMS[arm].title} diverged with lr {lr:g}')
        return {'knn': None, 'error': str(error)}
    train_set = scoring.pooled(training.model, ARMS[arm], bench.train_images, get_device())[ARMS[arm].pooling]
    shutil.rmtree(folder, ignore_errors=True)
    found = {'knn': scoring.leave_one_out(train_set), **training.figures}
    bench.progress.say(f'{ARMS[arm].title}, lr {lr:g}: {found["knn"]:.1f} % of the training images by their neighbours')
    return found


def final(bench: Bench, arm: str, seed: int) -> None:
    """Trains with the chosen lr and scores the result on the test images.

    Raises:
        BudgetError: There is no time for an epoch.
        ConfigError: No lr was chosen.
        NonFiniteLossError: The training diverged.
    """
    row, setting = bench.row(arm), bench.setting(arm)
    if 'lr' not in row:
        raise ConfigError(f'{ARMS[arm].title} has no lr, because its trials failed; see the message there.')
    cfg = _with_tokenizer(bench, arm, seed)
    tokenizer = row['tokenizers'].get(str(seed), {}).get('seconds', 0.0)
    title = f'{ARMS[arm].title}, seed {seed}'
    epochs = epochs_within(setting.final_seconds - tokenizer, row['epoch_seconds'], title, bench.options.minutes)
    training = train(cfg, bench.folder(arm, f'seed{seed}'), seed, epochs, row['lr'], title, bench.progress)
    figures = training.figures | {'tokenizer_seconds': tokenizer, 'seconds': training.figures['seconds'] + tokenizer}
    _keep(bench, arm, seed, training.model, figures)


def random_network(bench: Bench, arm: str, seed: int) -> None:
    """Scores the network as it is before training."""
    torch.manual_seed(seed)
    model = MODELS.build(bench.config(arm).model)
    _keep(bench, arm, seed, model, {'seconds': 0.0, 'images': 0})


def _keep(bench: Bench, arm: str, seed: int, model: nn.Module, figures: dict) -> None:
    images, row = bench.images, bench.row(arm)
    parts = [scoring.pooled(model, ARMS[arm], part, get_device()) for part in (images.train, images.test)]
    scores = {pooling: scoring.score(*(part[pooling] for part in parts)) for pooling in scoring.POOLINGS}
    row['finals'][str(seed)] = {**figures, 'scores': scores}
    bench.results.save()
    knn = scores[ARMS[arm].pooling]['knn']['accuracy']
    bench.progress.say(f'{ARMS[arm].title}, seed {seed}: k-NN {knn:.1f} % of the test images')


def _with_tokenizer(bench: Bench, arm: str, seed: int) -> Config:
    """Config of an arm whose tokenizer, if it is made from the images, has been made."""
    cfg, kind = bench.config(arm), ARMS[arm].tokenizer
    if kind is None:
        return cfg
    made, key = bench.row(arm)['tokenizers'], str(seed)
    if key in made and not Path(made[key]['file']).is_file():
        del made[key]
    title = f'{ARMS[arm].title}: tokenizer, seed {seed}'
    bench.progress.say(title)
    found = bench.results.once(made, key, lambda: TOKENIZERS[kind](bench, arm, cfg, seed, title))
    cfg.model.tokenizer.checkpoint = found['file']
    return cfg
