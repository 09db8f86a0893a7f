"""Evaluation on frozen features while a network is pretrained."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.protocol import FrozenFeatureProtocol
from mim_plugin.registry import HOOKS


@HOOKS.register_module()
class FrozenFeatureHook(Hook):
    """Every few epochs (or iterations), how well the frozen features of the network in training classify.

    The figures go to the log, and as ``frozen/...`` to the message hub and the visualizer's backends.
    Training is untouched: weights are the same with and without the hook. The baselines (thumbnails,
    majority class) do not change, so that they are reported once, with the first figures.

    Args:
        bank_dataloader: Labelled training images under the evaluation transform.
        evaluator: Metrics, for example ``dict(type='KNNMetric', k=(10, 20))``.
        dataloader: Test images; without them each image of the bank is compared with the others, which needs
            ``evaluator=dict(type='KNNMetric', leave_one_out=True)``.
        interval: Epochs between two evaluations; the last epoch is always evaluated.
        by_epoch: False: ``interval`` counts iterations.
        at_start: Also before training: what the network's initialisation is worth.
        extractor: See :class:`FrozenFeatureProtocol`; the teacher's [CLS] by default.
        baselines: See above.

    Raises:
        ConfigError: Before training, if the bank is too small for a metric, or a metric needs test images.
    """

    # After hooks that still change the teacher, before the logger at VERY_LOW.
    priority = 'LOW'

    def __init__(
        self,
        bank_dataloader: dict,
        evaluator: dict | list,
        dataloader: dict | None = None,
        interval: int = 10,
        by_epoch: bool = True,
        at_start: bool = False,
        extractor: dict[str, Any] | None = None,
        baselines: bool = True,
    ) -> None:
        if interval < 1:
            raise ConfigError(f'interval={interval} of {type(self).__name__} must be 1 or more.')
        self.bank_dataloader = bank_dataloader
        self.evaluator = evaluator
        self.dataloader = dataloader
        self.interval = interval
        self.by_epoch = by_epoch
        self.at_start = at_start
        self.extractor = extractor
        self.baselines = baselines

    def before_train(self, runner: Runner) -> None:
        """Build the parts, so that a wrong config is found before the first epoch."""
        bank = runner.build_dataloader(self.bank_dataloader, seed=runner.seed)
        self._loader = runner.build_dataloader(self.dataloader, seed=runner.seed) if self.dataloader else None
        evaluator = runner.build_evaluator(self.evaluator)
        evaluator.dataset_meta = getattr((self._loader or bank).dataset, 'metainfo', None)
        self._protocol = FrozenFeatureProtocol(evaluator, bank, self.extractor, self.baselines)
        if self._loader is None:
            self._protocol.check_leave_one_out()
        if self.at_start and runner.iter == 0:
            self.evaluate(runner, 0)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Evaluate when it is time, if that is told in iterations."""
        if not self.by_epoch and (self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner)):
            self.evaluate(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Evaluate when it is time, if that is told in epochs."""
        if self.by_epoch and (self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)):
            self.evaluate(runner, runner.epoch + 1)

    def evaluate(self, runner: Runner, step: int) -> dict[str, float]:
        """All figures now, which are told to the logs.

        Args:
            runner: The runner.
            step: Epochs or iterations done, for the logs.
        """
        runner.logger.info(f'Evaluating frozen features after {"epoch" if self.by_epoch else "iteration"} {step}')
        figures = self._protocol.run(runner.model, self._loader)
        self._protocol.baselines = False
        for name, value in figures.items():
            runner.message_hub.update_scalar(f'frozen/{name}', value)
        runner.visualizer.add_scalars({f'frozen/{name}': value for name, value in figures.items()}, step=step)
        return figures
