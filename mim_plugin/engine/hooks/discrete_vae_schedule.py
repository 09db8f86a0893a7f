"""Temperature and weight of the prior of a discrete autoencoder in training."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from mim_plugin.engine.optim.schedules import cosine_value
from mim_plugin.engine.unwrap import unwrap
from mim_plugin.registry import HOOKS

__all__ = ['DiscreteVAEScheduleHook']


@HOOKS.register_module()
class DiscreteVAEScheduleHook(Hook):
    """Sets ``temperature`` and ``kl_weight`` of the model before every iteration, each along half a cosine.

    A schedule that is longer than the run is cut to its length, with a warning.

    Args:
        start_temperature: Temperature of the first iteration.
        end_temperature: Temperature after the schedule.
        temperature_iters: Length in iterations; None = 3/4 of the run.
        kl_weight: Weight of the prior after its schedule, which starts at 0.
        kl_iters: Length in iterations; None = 1/4 of the run.

    Source: Zero-shot text-to-image generation (arXiv 2102.12092), appendix A.2: 1 to 1/16 in 150,000
    iterations, 0 to 6.6 in 5,000, of 3,000,000.
    """

    def __init__(
        self,
        start_temperature: float = 1.0,
        end_temperature: float = 1 / 16,
        temperature_iters: int | None = None,
        kl_weight: float = 6.6,
        kl_iters: int | None = None,
    ) -> None:
        self.temperatures = (start_temperature, end_temperature)
        self.temperature_iters = temperature_iters
        self.kl_weight = kl_weight
        self.kl_iters = kl_iters

    def before_train(self, runner: Runner) -> None:
        """Find the lengths."""
        self._temperature_length = _length(runner, self.temperature_iters, 0.75, 'temperature')
        self._kl_length = _length(runner, self.kl_iters, 0.25, 'weight of the prior')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Set both values of this iteration."""
        model = unwrap(runner.model)
        model.temperature = cosine_value(runner.iter, *self.temperatures, self._temperature_length)
        model.kl_weight = cosine_value(runner.iter, 0.0, self.kl_weight, self._kl_length)
        runner.message_hub.update_scalar('train/temperature', model.temperature)
        runner.message_hub.update_scalar('train/kl_weight', model.kl_weight)


def _length(runner: Runner, iters: int | None, share: float, what: str) -> int:
    if iters is None:
        return max(1, round(share * runner.max_iters))
    if iters > runner.max_iters:
        runner.logger.warning(
            f'The {what} should change for {iters} iterations, but the run has {runner.max_iters}: '
            'the schedule is shortened to end with the run.'
        )
    return min(iters, runner.max_iters)
