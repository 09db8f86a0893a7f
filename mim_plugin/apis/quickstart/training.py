"""Training runs of the quickstart: configs fitted to the data and the options, run by mmengine's Runner."""

import time
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mim_plugin.apis.config_errors import explain_build_errors, read_config
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.fit_codes import fit_codes
from mim_plugin.apis.long_commands.folders import SPLITS, SceneFolders
from mim_plugin.apis.long_commands.progress import Progress, ProgressHook
from mim_plugin.apis.long_commands.runs import build_quiet_runner, loader_processes, set_epochs
from mim_plugin.apis.long_commands.segmentation import fit_segmentation_config, scene_pairs
from mim_plugin.apis.quickstart.options import METHOD_NAMES, QuickstartOptions
from mim_plugin.apis.run import find_last_checkpoint
from mim_plugin.datasets.files import find_images
from mim_plugin.errors import CheckpointError, DataError

__all__ = ['finetune', 'pretrain', 'shipped_checkpoint']

PRETRAIN_FIGURES = {'loss': 'loss', 'mim_acc': 'percent of hidden codes right', 'effective_rank': 'effective rank'}
SEGMENTATION_FIGURES = {'loss': 'loss', 'decode.acc_seg': 'percent of training pixels right'}


def shipped_checkpoint(options: QuickstartOptions) -> Path | None:
    """The file that pretraining goes on from; None for ``--from-scratch``.

    Raises:
        CheckpointError: If the file is missing.
    """
    if options.from_scratch:
        return None
    if not Path(options.checkpoint).is_file():
        raise CheckpointError(
            f'The checkpoint {options.checkpoint} is missing: give --checkpoint FILE, or --from-scratch to do without.'
        )
    return Path(options.checkpoint)


def _fit_batch(cfg: Config, count: int, epochs: int | None) -> None:
    """Fits batch and length to the number of images.

    A small folder gets more epochs and a large one fewer, so that about as many steps are made as on the data
    that the config is for.
    """
    loader = cfg.train_dataloader
    loader.batch_size = min(loader.batch_size, count)
    steps = cfg.train_cfg.max_epochs * (cfg.num_images // cfg.train_dataloader.batch_size)
    set_epochs(cfg, epochs or max(1, round(steps / (count // loader.batch_size))))


def _run(cfg: Config, folder: Path, options: QuickstartOptions, hook: ProgressHook) -> tuple[Runner, float]:
    # Without --resume nothing is in the folder but codes that were fitted for this run.
    runner = build_quiet_runner(cfg, folder, options.seed, hook, keep=True)
    begin = time.monotonic()
    with explain_build_errors(cfg):
        runner.train()
    return runner, time.monotonic() - begin


def pretrain(images: Path, folder: Path, options: QuickstartOptions, progress: Progress) -> dict:
    """Trains iBOT or BEiT on a folder of images; BEiT's codes are fitted to them first.

    Args:
        images: Unlabelled images.
        folder: Work folder of the Runner.
        options: Options of the run.
        progress: Gets a line every few seconds.

    Returns:
        ``checkpoint``, and what the summary tells: ``images``, ``epochs``, ``iterations``, ``batch_size``,
        ``images_per_second``, ``loss``.

    Raises:
        DataError: If the folder holds no image.
    """
    cfg = read_config(str(options.configs[0]))
    count = len(find_images(str(images)))
    if count == 0:
        raise DataError(f'{images} holds no image: give a folder with .jpg or .png files in any depth.')
    cfg.train_dataloader.dataset.data_root = str(images)
    _fit_batch(cfg, count, options.epochs)
    method = type_name(cfg.model)
    start = shipped_checkpoint(options)
    if start is not None:
        # The checkpoint is iBOT's: of BEiT it fills the backbone alone.
        target = cfg.model if method == 'IBOT' else cfg.model.backbone
        target.init_cfg = dict(type='Pretrained', checkpoint=str(start))
    if method == 'BEiT':
        cfg.model.tokenizer.checkpoint = _fitted_codes(cfg, folder, options, progress)
    name = METHOD_NAMES[options.method]
    title = f'{name} from random weights' if start is None else f'{name} goes on from the checkpoint'
    runner, seconds = _run(cfg, folder, options, ProgressHook(progress, title, PRETRAIN_FIGURES))
    seen = runner.max_iters * cfg.train_dataloader.batch_size
    return {
        'checkpoint': find_last_checkpoint(folder),
        'images': count,
        'epochs': runner.max_epochs,
        'iterations': runner.max_iters,
        'batch_size': cfg.train_dataloader.batch_size,
        'images_per_second': round(seen / seconds, 1),
        'loss': round(runner.message_hub.get_scalar('train/loss').mean(20), 3),
    }


def _fitted_codes(cfg: Config, folder: Path, options: QuickstartOptions, progress: Progress) -> str:
    """The file of the codes; fitted unless a run that is resumed has done so."""
    path = folder / 'codes.safetensors'
    if not path.is_file():
        report = fit_codes(cfg, out=str(path), seed=options.seed, workers=loader_processes())
        progress.say(f'{report.used} of {report.num_codes} codes used, perplexity {report.perplexity:.0f}')
    return str(path)


def finetune(
    name: str,
    scenes: SceneFolders,
    checkpoint: str | None,
    folder: Path,
    options: QuickstartOptions,
    progress: Progress,
) -> dict:
    """Trains UPerNet on images with masks and measures it on the validation images.

    Args:
        name: Name of the row.
        scenes: Images with masks.
        checkpoint: Pretrained backbone, or None for random weights.
        folder: Work folder of the Runner; predictions go into ``predictions``.
        options: Options of the run.
        progress: Gets a line every few seconds.

    Returns:
        A row with ``mIoU`` and ``aAcc`` in percent, and the length of the training.
    """
    cfg = fit_segmentation_config(read_config(str(options.configs[1])), scenes, folder)
    _fit_batch(cfg, len(scene_pairs(scenes, SPLITS[0])), None)
    if checkpoint is not None:
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    runner, _ = _run(cfg, folder, options, ProgressHook(progress, name, SEGMENTATION_FIGURES))
    metrics = runner.val()
    return {
        'name': name,
        'mIoU': round(float(metrics['mIoU']), 2),
        'aAcc': round(float(metrics['aAcc']), 2),
        'iterations': runner.max_iters,
        'images': runner.max_iters * cfg.train_dataloader.batch_size,
    }
