"""What an autoencoder in training makes of pictures, and which codes it uses."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner
from torch import Tensor

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import ConfigError
from mim_plugin.models.losses.dvae import perplexity, share_used
from mim_plugin.registry import HOOKS

__all__ = ['ReconstructionHook']


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """Draws reconstructions, and counts the codes of every epoch's crops on all processes.

    ``epoch/codes_used`` (percent) and ``epoch/perplexity`` go to the log's files. Pictures are of the first crops
    of the run, decoded from their likeliest codes, in ``WORK_DIR/reconstructions/epoch_N.png``; beside
    them ``codes_N.png`` shows how often each code occurred in the epoch. Needs matplotlib.

    Args:
        interval: Epochs between two pictures; the last epoch is always drawn.
        num_images: Number of crops that are drawn.
    """

    # Before the logger at VERY_LOW.
    priority = 'LOW'

    def __init__(self, interval: int = 10, num_images: int = 8) -> None:
        if interval < 1 or num_images < 1:
            raise ConfigError(
                f'interval={interval} and num_images={num_images} of ReconstructionHook must be 1 or more.'
            )
        self.interval = interval
        self.num_images = num_images
        self._images: Tensor | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin to count."""
        unwrap(runner.model).reset_code_counts()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Keep the first crops of the run."""
        if self._images is None:
            inputs = data_batch['inputs']
            images = inputs['global'][0] if isinstance(inputs, dict) else inputs
            self._images = torch.stack(list(images[: self.num_images]))

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the epoch's codes; draw when it is time."""
        model, epoch = unwrap(runner.model), runner.epoch + 1
        counts = model.reset_code_counts()
        dist.all_reduce(counts)
        figures = {'epoch/codes_used': share_used(counts).item(), 'epoch/perplexity': perplexity(counts).item()}
        for name, value in figures.items():
            runner.message_hub.update_scalar(name, value)
        runner.visualizer.add_scalars(figures, step=epoch)
        runner.logger.info(
            f'Codes of epoch {epoch}: {figures["epoch/codes_used"]:.1f} % of {len(counts)} occurred, '
            f'perplexity {figures["epoch/perplexity"]:.1f}'
        )
        if dist.is_main_process() and (self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)):
            self._draw(runner, counts, epoch)

    @torch.no_grad()
    def _draw(self, runner: Runner, counts: Tensor, epoch: int) -> None:
        from mim_plugin.visualization import draw_code_usage, draw_reconstructions

        model, folder = unwrap(runner.model), Path(runner.work_dir) / 'reconstructions'
        folder.mkdir(parents=True, exist_ok=True)
        model.eval()
        images = model.data_preprocessor({'inputs': self._images}, False)['inputs']
        decoded = model.reconstruct(images)
        model.train()
        pictures = [(x * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy() for x in (images, decoded)]
        draw_reconstructions(*pictures, title=f'epoch {epoch}').savefig(folder / f'epoch_{epoch}.png')
        draw_code_usage(counts.cpu().numpy(), title=f'epoch {epoch}').savefig(folder / f'codes_{epoch}.png')
