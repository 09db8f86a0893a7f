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

    An untrained head sends gradients into a trained backbone that have nothing to do with what it knows, and may undo
    it. This hook keeps the learning rate of the backbone at 0 for ``epochs``, then lets it grow
    linearly over ``release_epochs`` to that of the schedule. The optimizer's moments of the backbone are kept up
    meanwhile, so that its first step is no leap. Heads that the file of the start brought along need none of it, and
    get none: the log says which case it is.

    It needs ``optim_wrapper.paramwise_cfg=dict(apart=...)``, which names the parameters that rest, see
    :func:`mim_plugin.engine.optim.pretrain_groups`, and ``WarmupCosineLR`` by iteration. What is not named learns
    from the beginning: the heads, and the mask token when the file has none.

    Args:
        epochs: Epochs without a change of the backbone; fractions are fine.
        release_epochs: Epochs of the linear growth after them.
        min_iters: Iterations that the rest takes at least, for folders whose epochs are short; the growth is
            lengthened in proportion.

    Raises:
        ConfigError: Before training, if no parameters are set apart, the rate has another schedule, the model
            starts from no file or does not know from what, or the training is too short for the backbone to learn.
    """

    # After the parameter schedulers have set the rates (before the first step), and before the optimizer steps.
    priority = 'LOW'

    def __init__(self, epochs: float = 1.0, release_epochs: float = 1.0, min_iters: int = 0) -> None:
        if min(epochs, release_epochs, min_iters) < 0:
            raise ConfigError(
                f'HeadWarmupHook got epochs={epochs}, release_epochs={release_epochs}, min_iters={min_iters}; none can '
                'be negative.'
            )
        self.epochs = epochs
        self.release_epochs = release_epochs
        self.min_iters = min_iters

    def before_train(self, runner: Runner) -> None:
        """Find out whether the heads are new, and how many iterations they get."""
        self._check(runner)
        self._groups = [group for group in runner.optim_wrapper.param_groups if group.get('apart')]
        new = self._start(runner) == 'backbone'
        self._rest, self._release = self._lengths(len(runner.train_dataloader)) if new else (0, 0)
        if self._rest and self._rest >= runner.max_iters:
            raise ConfigError(
                f'HeadWarmupHook lets the backbone rest for {self._rest} iterations, and the training has '
                f'{runner.max_iters}, so that it would learn nothing; train longer (train_cfg.max_epochs, a smaller '
                'batch), or lower epochs and min_iters of the hook.'
            )
        runner.logger.info(
            f'The heads start anew: the backbone rests in the first {self._rest} iterations and is released within '
            f'{self._release} more.' if new else 'The heads are in the file that training starts from: no warm-up.'
        )  # fmt: skip

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Scale the rate that the schedule set for this step."""
        done = runner.iter - self._rest
        if done >= self._release:
            return
        factor = (done + 1) / (self._release + 1) if done >= 0 else 0.0
        for group in self._groups:
            group['lr'] *= factor

    def _start(self, runner: Runner) -> str:
        """What the file filled from which this run, or the one that it resumes, started."""
        hub, model = runner.message_hub, unwrap(runner.model)
        start = hub.get_info('started_from') or getattr(model, 'started_from', None)
        if start is None:
            raise ConfigError(
                f'HeadWarmupHook is for IBOT, DINO and their kin: {type(model).__name__} does not tell whether its '
                'head was in the file; leave the hook out.'
            )
        if start == 'nothing':
            raise ConfigError(
                'HeadWarmupHook is for trainings that go on from a file, and this one starts from random weights; set '
                'load_from=FILE, or leave the hook out.'
            )
        hub.update_info('started_from', start)
        return start

    def _lengths(self, epoch: int) -> tuple[int, int]:
        """Iterations of the rest and of the release, for epochs of so many."""
        rest = self.epochs * epoch
        longer = max(1.0, self.min_iters / rest) if rest else 1.0
        return round(rest * longer), round(self.release_epochs * epoch * longer)

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
