"""The teacher's step."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from mim_plugin.engine.optim.schedules import cosine_value
from mim_plugin.engine.unwrap import unwrap
from mim_plugin.registry import HOOKS

__all__ = ['MomentumTeacherHook']


@HOOKS.register_module()
class MomentumTeacherHook(Hook):
    """Moves the teacher (and the centres) towards the student after every optimizer step.

    The momentum follows half a cosine over all iterations. Iterations that only
    accumulate gradients move nothing; a step that the loss scaler skipped moves the
    teacher as in the published code. Works on an algorithm with
    ``update_teacher(momentum)``.

    Args:
        momentum: Share of the old teacher that stays at the first iteration.
        end: Share that the cosine tends to.

    Source: iBOT (arXiv 2111.07832), Algorithm 1; published code.
    """

    # Before the iteration timer, so that the update counts as training and not as waiting for data.
    priority = 'ABOVE_NORMAL'

    def __init__(self, momentum: float = 0.996, end: float = 1.0) -> None:
        self.momentum = momentum
        self.end = end

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Update unless this iteration only accumulated gradients."""
        if runner.optim_wrapper.should_update():
            momentum = cosine_value(runner.iter, self.momentum, self.end, runner.max_iters)
            unwrap(runner.model).update_teacher(momentum)
