"""Training by epochs that can stop and go on anywhere."""

from __future__ import annotations

import os.path as osp
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine import dist
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mim_plugin.engine.loops.interruption import Interruption
from mim_plugin.engine.optim.param_schedulers import WarmupCosineParamScheduler
from mim_plugin.errors import DataError
from mim_plugin.registry import LOOPS

__all__ = ['ResumableEpochLoop']


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's EpochBasedTrainLoop with exact resumption and a graceful Ctrl-C.

    - A checkpoint from the middle of an epoch resumes at the next batch: with
      ``ResumableSampler`` no image is repeated or left out. If the batch size or the number
      of processes changed meanwhile, the position is converted (in images).
    - Before every batch all random generators of the process are seeded from (seed, rank, iteration),
      so a resumed run draws what the uninterrupted one would have drawn.
    - ``dataset.set_epoch(epoch)`` is called before the workers of an epoch start. A data set that is
      used with ``persistent_workers`` must share the epoch with them, as those of mim_plugin do.
    - Ctrl-C (or SIGTERM) finishes the optimizer step, saves a checkpoint, says in one line how to go
      on, and leaves with exit code 130 (143).

    Args:
        runner: The Runner.
        dataloader: Loader of the training images or its config.
        max_epochs: Length of the run.
        stop_interval: With several processes, number of iterations after which they agree
            whether to stop; by default as often as the logger reads the device.
        **kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop` (val_begin, val_interval, dynamic_intervals).
    """

    def __init__(
        self, runner: Runner, dataloader: DataLoader | dict, max_epochs: int, stop_interval: int = 10, **kwargs: Any
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        if len(self.dataloader) == 0:
            raise DataError(
                f'An epoch of {len(self.dataloader.dataset)} images on {dist.get_world_size()} process(es) has no full '
                f'batch of {self._batch_size}; lower train_dataloader.batch_size or add images.'
            )
        self.stop_interval = stop_interval
        self.interruption = Interruption()
        self._stopping = False
        self._first_batch = 0

    def run(self) -> nn.Module:
        """Launch training, at the point where a resumed checkpoint was made."""
        self._find_position()
        with self.interruption:
            return super().run()

    def run_epoch(self) -> None:
        """Run what is left of the current epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        first, self._first_batch = self._first_batch, 0
        for idx, data_batch in enumerate(self._batches(first), first):
            self.run_iter(idx, data_batch)
            self._stop_if_asked(idx)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self._stopping = self._stopping or bool(self.interruption.agree())
        if self._stopping and self._epoch < self._max_epochs and self.runner.optim_wrapper.should_update():
            self._stop()

    def _batches(self, first: int) -> Iterator[Sequence[dict]]:
        self._announce_epoch()
        self._seed_iteration()
        if first and hasattr(self._sampler, 'skip'):
            self._sampler.skip(first * self._batch_size)
            first = 0
        iterator = iter(self.dataloader)
        for _ in range(first):
            # A sampler of another kind: what was done is read again and dropped.
            next(iterator)
        while True:
            self._seed_iteration()
            try:
                data_batch = next(iterator)
            except StopIteration:
                return
            except RuntimeError:
                # A scheduler that signals the whole process group has ended the workers.
                if self.interruption.signum:
                    self._stop()
                raise
            yield data_batch

    @property
    def _sampler(self) -> Any:
        return getattr(self.dataloader.batch_sampler, 'sampler', self.dataloader.sampler)

    @property
    def _batch_size(self) -> int:
        return self.dataloader.batch_size or self.dataloader.batch_sampler.batch_size

    def _seed_iteration(self) -> None:
        words = np.random.SeedSequence([self.runner.seed, dist.get_rank(), self._iter]).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(words[1])
        # torch.manual_seed costs as much as a hundred of these: it looks at every kind of device.
        torch.default_generator.manual_seed(int(words[2]))
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed(int(words[2]))

    def _announce_epoch(self) -> None:
        if hasattr(self.dataloader.dataset, 'set_epoch'):
            # A data set without a seed of its own takes torch's, which then must not depend on the iteration.
            torch.manual_seed(self.runner.seed)
            self.dataloader.dataset.set_epoch(self._epoch)

    def _find_position(self) -> None:
        """Translate the resumed iteration into a batch of the resumed epoch."""
        hub, length = self.runner.message_hub, len(self.dataloader)
        layout = [length, self._batch_size * dist.get_world_size()]
        old_length, old_batch = hub.get_info('epoch_layout', layout)
        position = self._iter - self._epoch * old_length
        if [old_length, old_batch] != layout:
            position = min(length, max(0, position) * old_batch // layout[1])
            self._move_to(self._epoch * length + position)
        # A checkpoint of another loop may count its iterations otherwise; its epoch is right.
        self._first_batch = position if 0 <= position <= length else 0
        hub.update_info('epoch_layout', layout)
        # Without a fixed seed in the config every process start draws another one.
        if hasattr(self._sampler, 'seed'):
            self._sampler.seed = int(hub.get_info('sampler_seed', self._sampler.seed))
            hub.update_info('sampler_seed', self._sampler.seed)

    def _move_to(self, iteration: int) -> None:
        self.runner.logger.warning(
            f'The batch size or the number of processes differs from the resumed run: iteration {self._iter} there is '
            f'counted as iteration {iteration} here, the learning rate of the config is not adapted.'
        )
        self._iter = iteration
        for scheduler in self.runner.param_schedulers or []:
            if isinstance(scheduler, WarmupCosineParamScheduler) and not scheduler.by_epoch:
                scheduler.seek(iteration)
        self.runner.optim_wrapper.initialize_count_status(self.runner.model, iteration, self._max_iters)

    def _stop_if_asked(self, idx: int) -> None:
        """Stop after this batch if a signal came and the optimizer has stepped; the last batch ends its epoch first."""
        if not self._stopping and (dist.get_world_size() == 1 or (idx + 1) % self.stop_interval == 0):
            self._stopping = bool(self.interruption.agree())
        if self._stopping and idx + 1 < len(self.dataloader) and self.runner.optim_wrapper.should_update():
            self._stop()

    def _stop(self) -> None:
        runner, name = self.runner, f'interrupted_iter_{self._iter}.pth'
        meta = {'epoch': self._epoch, 'iter': self._iter}
        runner.save_checkpoint(runner.work_dir, name, meta=meta, by_epoch=False)
        path = osp.join(runner.work_dir, name)
        if dist.is_main_process():
            with open(osp.join(runner.work_dir, 'last_checkpoint'), 'w') as file:
                file.write(path)
        # A process that leaves early makes the launcher end the one that still writes.
        dist.barrier()
        runner.call_hook('after_run')
        if dist.is_main_process():
            print(
                f'Stopped after iteration {self._iter} (epoch {self._epoch + 1} of {self._max_epochs}); '
                f'the same command with --resume goes on from {path}'
            )
        raise SystemExit(128 + self.interruption.signum)
