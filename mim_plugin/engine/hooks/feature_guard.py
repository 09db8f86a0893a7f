"""A training that may go on only while the features stay as good as they were."""

from __future__ import annotations

import math
import os.path as osp
from typing import Any

from mmengine.dist import barrier
from mmengine.runner import Runner

from mim_plugin.engine.hooks.frozen_feature_hook import FrozenFeatureHook
from mim_plugin.errors import ConfigError, DataError, FeaturesGotWorseError
from mim_plugin.registry import HOOKS

__all__ = ['FeatureGuardHook']

_BEST = 'best_features.pth'


@HOOKS.register_module()
class FeatureGuardHook(FrozenFeatureHook):
    """Measures the frozen features of the start, goes on measuring, and stops a training that makes them worse.

    Made for trainings that go on from good weights, which a too high learning rate or an untrained head can ruin
    within an epoch. The measure is the accuracy of k-NN, in percent, where every labelled image is compared with all
    others, or test images with a bank; some hundred labelled images are enough to see a ruin. Worse means: below the
    start by more than ``tolerance`` standard errors of an accuracy over that many images.
    The weights with the best figure are kept in ``best_features.pth`` (no optimizer) as soon as they beat the start.

    Args:
        bank_dataloader: Labelled images under the evaluation transform.
        dataloader: Test images; without them each image of the bank is compared with the others.
        k: Neighbours.
        temperature: See :class:`KNNMetric`.
        tolerance: Standard errors that the accuracy may fall.
        stop: False only warns.
        interval: Iterations between two measurements.
        by_epoch: True: ``interval`` counts epochs.
        **kwargs: See :class:`FrozenFeatureHook`.

    Raises:
        ConfigError: ``tolerance`` is negative; before training, if there are too few images for ``k`` neighbours.
        DataError: Before training, if there are no labelled images of two classes.
        FeaturesGotWorseError: During training; the present state was saved before.
    """

    def __init__(
        self,
        bank_dataloader: dict,
        dataloader: dict | None = None,
        k: int = 20,
        temperature: float = 0.07,
        tolerance: float = 2.0,
        stop: bool = True,
        interval: int = 100,
        by_epoch: bool = False,
        **kwargs: Any,
    ) -> None:
        knn = dict(type='mim_plugin.KNNMetric', k=k, temperature=temperature, leave_one_out=dataloader is None)
        if not tolerance >= 0:
            raise ConfigError(f'FeatureGuardHook got tolerance={tolerance}; give standard errors, 0 or more.')
        super().__init__(bank_dataloader, knn, dataloader, interval=interval, by_epoch=by_epoch, **kwargs)
        self.metric = f'knn/top1_k{k}'
        self.tolerance = tolerance
        self.stop = stop

    def before_train(self, runner: Runner) -> None:
        """Measure the start, unless a resumed run has done so."""
        self.at_start = runner.message_hub.get_info('feature_guard') is None
        try:
            super().before_train(runner)
            classes = (self._protocol.evaluator.dataset_meta or {}).get('classes')
            if classes and len(classes) == 1:
                raise DataError(f'All labelled images are of one class, {classes[0]}, so that k-NN is always right')
        except DataError as error:
            raise DataError(
                f'{str(error).rstrip(".")}; FeatureGuardHook needs labelled images, CLASS/IMAGE: without any leave it '
                'out with --no-validate.'
            ) from error
        if self.at_start and runner.iter:
            self.evaluate(runner, runner.iter)  # resumed from a run without a guard

    def evaluate(self, runner: Runner, step: int) -> dict[str, float]:
        """Measure, compare with the start, keep the best, and stop if need be."""
        figures = super().evaluate(runner, step)
        figure, hub = figures[self.metric], runner.message_hub
        known = hub.get_info('feature_guard') or {'start': figure, 'best': figure, 'file': None}
        error = self._standard_error(known['start'])
        start = f'{known["start"]:.1f} at the start, standard error {error:.1f}'
        runner.logger.info(f'{self.metric}: {figure:.1f}; {start}')
        better = figure > known['best']
        if better:
            known = {**known, 'best': figure, 'file': osp.join(runner.work_dir, _BEST)}
        hub.update_info('feature_guard', known)  # before anything is saved, so that a resumed run knows it
        if better:
            self._save(runner, _BEST, save_optimizer=False, save_param_scheduler=False)
        if figure < known['start'] - self.tolerance * error:
            self._refuse(runner, step, figure, known, error)
        return figures

    def _standard_error(self, accuracy: float) -> float:
        """In percent; with two hits and two misses more, so that it is not 0 for an accuracy of 0 or 100 %."""
        size = len((self._loader or self._protocol.bank_dataloader).dataset)
        share = (accuracy / 100 * size + 2) / (size + 4)
        return 100 * math.sqrt(share * (1 - share) / (size + 4))

    def _refuse(self, runner: Runner, step: int, figure: float, known: dict[str, float], error: float) -> None:
        text = (
            f'The features got worse: {self.metric} is {figure:.1f} after {"epoch" if self.by_epoch else "iteration"} '
            f'{step}, {(known["start"] - figure) / error:.1f} standard errors below {known["start"]:.1f} at the start'
        )
        if not self.stop:
            runner.logger.warning(f'{text}.')
            return
        path = self._save(runner, f'worse_{"epoch" if self.by_epoch else "iter"}_{step}.pth')
        best = f'the best weights ({known["best"]:.1f}) are {known["file"]}'
        best = best if known['file'] else 'those of the start are the best so far'
        raise FeaturesGotWorseError(
            f'{text}; the training was stopped and saved as {path}, {best}. Lower the learning rate, lengthen the '
            'warm-up, or allow it with tolerance or stop=False of FeatureGuardHook.'
        )

    def _save(self, runner: Runner, name: str, **options: Any) -> str:
        runner.save_checkpoint(runner.work_dir, name, by_epoch=self.by_epoch, **options)
        barrier()  # the main process writes: one that left before would tear it down
        return osp.join(runner.work_dir, name)
