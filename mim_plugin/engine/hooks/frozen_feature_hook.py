"""Evaluation on frozen features while a network is pretrained."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.protocol import FrozenFeatureProtocol
from mim_plugin.registry import HOOKS


@HOOKS.register_module()
class FrozenFeatureHook(Hook):
    """Every few epochs, how well the frozen features of the network in training classify.

    The figures go to the log, and as ``frozen/...`` to the message hub and the visualizer's backends.
    Training is untouched: weights are the same with and without the hook. The baselines (thumbnails,
    majority class) do not change, so that they are reported once, with the first figures.

    Args:
        bank_dataloader: Labelled training images under the evaluation transform.
        dataloader: Test images.
        evaluator: Metrics, for example ``dict(type='KNNMetric', k=(10, 20))``.
        interval: Epochs between two evaluations; the last epoch is always evaluated.
        at_start: Also before training: what the network's initialisation is worth.
        extractor: See :class:`FrozenFeatureProtocol`; the teacher's [CLS] by default.
        baselines: See above.

    Raises:
        ConfigError: Before training, if the bank is too small for a metric.
    """

    # After hooks that still change the teacher, before the logger at VERY_LOW.
    priority = 'LOW'

    def __init__(
        self,
        bank_dataloader: dict,
        dataloader: dict,
        evaluator: dict | list,
        interval: int = 10,
        at_start: bool = False,
        extractor: dict[str, Any] | None = None,
        baselines: bool = True,
    ) -> None:
        if interval < 1:
            raise ConfigError(f'interval={interval} of FrozenFeatureHook must be 1 epoch or more.')
        self.bank_dataloader = bank_dataloader
        self.dataloader = dataloader
        self.evaluator = evaluator
        self.interval = interval
        self.at_start = at_start
        self.extractor = extractor
        self.baselines = baselines

    def before_train(self, runner: Runner) -> None:
        """Build the parts, so that a wrong config is found before the first epoch."""
        self._loader = runner.build_dataloader(self.dataloader, seed=runner.seed)
        evaluator = runner.build_evaluator(self.evaluator)
        evaluator.dataset_meta = getattr(self._loader.dataset, 'metainfo', None)
        bank = runner.build_dataloader(self.bank_dataloader, seed=runner.seed)
        self._protocol = FrozenFeatureProtocol(evaluator, bank, self.extractor, self.baselines)
        if self.at_start and runner.epoch == 0:
            self._evaluate(runner, 0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Evaluate when it is time."""
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            self._evaluate(runner, runner.epoch + 1)

    def _evaluate(self, runner: Runner, epoch: int) -> None:
        runner.logger.info(f'Evaluating frozen features after epoch {epoch}')
        figures = self._protocol.run(runner.model, self._loader)
        self._protocol.baselines = False
        for name, value in figures.items():
            runner.message_hub.update_scalar(f'frozen/{name}', value)
        runner.visualizer.add_scalars({f'frozen/{name}': value for name, value in figures.items()}, step=epoch)
