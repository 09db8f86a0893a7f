"""New heads on a trained backbone."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from mim_plugin.engine.optim.param_schedulers import WarmupCosineLR
from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import ConfigError
from mim_plugin.registry import HOOKS

__all__ = ['HeadWarmupHook']


@HOOKS.register_module()
class HeadWarmupHook(Hook):
    """Lets new heads learn on a backbone that rests, then releases it gently.

    An untrained head sends gradients into a trained backbone that have nothing to do with what it knows, and undo
    it within an epoch. This hook keeps the learning rate of the backbone at 0 for ``epochs``, then lets it grow
    linearly over ``release_epochs`` to that of the schedule. The optimizer's moments of the backbone are kept up
    meanwhile, so that its first step is no leap. Heads that the file of the start brought along need none of it, and
    get none: the log says which case it is.

    It needs ``optim_wrapper.paramwise_cfg=dict(apart=...)``, which names the parameters that rest, see
    :func:`mim_plugin.engine.optim.pretrain_groups`, and ``WarmupCosineLR`` by iteration. What is not named learns
    from the beginning: the heads, and the mask token when the file has none.

    Args:
        epochs: Epochs without a change of the backbone; fractions are fine.
        release_epochs: Epochs of the linear growth after them.

    Raises:
        ConfigError: Before training, if no parameters are set apart, the rate has another schedule, or the model
            starts from no file.
    """

    # After the parameter schedulers have set the rates (before the first step), and before the optimizer steps.
    priority = 'LOW'

    def __init__(self, epochs: float = 1.0, release_epochs: float = 1.0) -> None:
        if epochs < 0 or release_epochs < 0:
            raise ConfigError(
                f'HeadWarmupHook got epochs={epochs}, release_epochs={release_epochs}; neither can be negative.'
            )
        self.epochs = epochs
        self.release_epochs = release_epochs

    def before_train(self, runner: Runner) -> None:
        """Find out whether the heads are new, and how many iterations they get."""
        self._check(runner)
        self._groups = [group for group in runner.optim_wrapper.param_groups if group.get('apart')]
        hub = runner.message_hub
        start = hub.get_info('started_from') or unwrap(runner.model).started_from
        if start == 'nothing':
            raise ConfigError(
                'HeadWarmupHook is for trainings that go on from a file, and this one starts from random weights; set '
                'load_from=FILE, or leave the hook out.'
            )
        hub.update_info('started_from', start)
        length = len(runner.train_dataloader)
        new = start == 'backbone'
        self._rest, self._release = (round(n * length) if new else 0 for n in (self.epochs, self.release_epochs))
        runner.logger.info(
            f'The heads start anew: the backbone rests for {self._rest} iterations and is released within '
            f'{self._release} more.' if new else 'The heads are in the file that training starts from: no warm-up.'
        )  # fmt: skip

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Scale the rate that the schedule set for this step."""
        done = runner.iter - self._rest
        if done >= self._release:
            return
        factor = max(0.0, (done + 1) / (self._release + 1)) if done >= 0 else 0.0
        for group in self._groups:
            group['lr'] *= factor

    def _check(self, runner: Runner) -> None:
        if not any(group.get('apart') for group in runner.optim_wrapper.param_groups):
            raise ConfigError(
                'HeadWarmupHook has no parameters to let rest; name them in optim_wrapper.paramwise_cfg, for example '
                "dict(apart='backbone'), with constructor='MIMOptimWrapperConstructor'."
            )
        # Others compute a rate from the last one, and would stay at 0; or leave it for an epoch.
        if not any(isinstance(one, WarmupCosineLR) and not one.by_epoch for one in runner.param_schedulers or []):
            raise ConfigError(
                'HeadWarmupHook scales a rate that is set anew in every step; use '
                "param_scheduler=[dict(type='WarmupCosineLR', convert_to_iter_based=True, ...)]."
            )
