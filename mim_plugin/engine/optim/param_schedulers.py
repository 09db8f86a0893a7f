"""Schedules of learning rate and weight decay for mmengine's Runner, in closed form."""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF, OptimizerType, _ParamScheduler

from mim_plugin.engine.optim.schedules import check_warmup, cosine_value
from mim_plugin.errors import ConfigError
from mim_plugin.registry import PARAM_SCHEDULERS

__all__ = ['WarmupCosineLR', 'WarmupCosineParamScheduler']


@PARAM_SCHEDULERS.register_module()
class WarmupCosineParamScheduler(_ParamScheduler):
    """Linear warm-up, then half a cosine, of one entry of the parameter groups.

    The value at a step is a function of the step and the config alone: nothing is
    multiplied up, a resumed run goes on exactly, and after a resume with a changed
    config the new config holds. The peak is the entry's value in the optimizer; of several
    groups the largest, and a group with a smaller entry (layer-wise rates, no decay = 0)
    keeps its share of the whole schedule.

    In a config lengths are epochs and ``convert_to_iter_based=True`` makes one step an
    iteration. The length defaults to that of the run::

        dict(type='WarmupCosineLR', eta_min=1e-6, warmup_epochs=10, convert_to_iter_based=True)
        dict(type='WarmupCosineParamScheduler', param_name='weight_decay', end_value=0.4, convert_to_iter_based=True)

    Args:
        optimizer: Optimizer or wrapper.
        param_name: Entry of the groups, such as ``lr`` or ``weight_decay``.
        end_value: Value that the cosine tends to.
        end: Number of steps, the warm-up included; the Runner fills in the length of the run.
        warmup: Number of steps of the warm-up.
        warmup_start: Value at step 0 of the warm-up.
        last_step: Index of the last step done.
        by_epoch: Whether one step is an epoch.
        verbose: Whether to log every change.

    Source: iBOT (arXiv 2111.07832) section 3.2; the published code's schedules.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        end_value: float,
        end: int = INF,
        warmup: int = 0,
        warmup_start: float = 0.0,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if end >= INF:
            raise ConfigError(
                f'{type(self).__name__} does not know how long the run is; set epochs (or end) in param_scheduler.'
            )
        check_warmup(warmup, end)
        self.end_value = end_value
        self.warmup = warmup
        self.warmup_start = warmup_start
        # The largest entry is the peak; a smaller one is a share of the schedule. `initial_*` exists after a resume.
        groups = getattr(optimizer, 'optimizer', optimizer).param_groups
        self.peak = max(group.get(f'initial_{param_name}', group[param_name]) for group in groups)
        if self.peak == 0:
            raise ConfigError(
                f'A schedule cannot start at {param_name}=0 because 0 marks the groups that stay at 0; '
                f'give the optimizer a small {param_name} or leave {type(self).__name__} out of param_scheduler.'
            )
        super().__init__(optimizer, param_name, end=end, last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        epochs: float | None = None,
        warmup_epochs: float = 0,
        warmup_iters: int | None = None,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int = 1,
        **kwargs: Any,
    ) -> WarmupCosineParamScheduler:
        """Build a schedule by iteration from lengths in epochs.

        Args:
            *args: Positional arguments of the class.
            epochs: Length of the schedule; that of the run when None.
            warmup_epochs: Length of the warm-up in epochs.
            warmup_iters: Length of the warm-up in iterations, instead of ``warmup_epochs``.
            end: Length of the run in epochs, filled in by the Runner.
            by_epoch: Always True.
            epoch_length: Iterations of one epoch, filled in by the Runner.
            **kwargs: Further arguments of the class.

        Returns:
            The scheduler.

        Raises:
            ConfigError: Both lengths of the warm-up are given.
        """
        if warmup_iters is not None and warmup_epochs:
            raise ConfigError(
                f'{cls.__name__} got warmup_epochs and warmup_iters; give one of them in param_scheduler.'
            )
        epochs = end if epochs is None else epochs
        warmup = round(warmup_epochs * epoch_length) if warmup_iters is None else warmup_iters
        return cls(*args, end=round(epochs * epoch_length), warmup=warmup, by_epoch=False, **kwargs)

    def _get_value(self) -> list[float]:
        value = cosine_value(self.last_step, self.peak, self.end_value, self.end, self.warmup, self.warmup_start)
        # A factor of exactly 1 for ordinary groups leaves the closed form untouched.
        return [value * (base / self.peak) for base in self.base_values]

    def seek(self, step: int) -> None:
        """Go to a step, as if every step before it had been done."""
        self._global_step = step
        self.last_step = min(step, self.end - 1)
        for group, value in zip(self.optimizer.param_groups, self._get_value()):
            group[self.param_name] = value
        self._last_value = [group[self.param_name] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict:
        """The position; all else follows from the config."""
        return {'step': self._global_step}

    def load_state_dict(self, state_dict: dict) -> None:
        """Continue at the position of :meth:`state_dict`."""
        self.seek(state_dict['step'])


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(WarmupCosineParamScheduler):
    """Schedule of the learning rate; the peak is the optimizer's ``lr``.

    Args:
        optimizer: Optimizer or wrapper.
        eta_min: Learning rate that the cosine tends to. Not scaled with the batch size.
        **kwargs: See :class:`WarmupCosineParamScheduler`.
    """

    def __init__(self, optimizer: OptimizerType, eta_min: float = 0.0, **kwargs: Any) -> None:
        super().__init__(optimizer, 'lr', end_value=eta_min, **kwargs)
