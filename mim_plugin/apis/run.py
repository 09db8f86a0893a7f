"""What the command-line tools do, as functions: read a config, fit it to the command and the machine, run it.

From a notebook::

    cfg = prepare_config('configs/ibot/ibot_vit-small-p16_16xb64-coslr-800e_in1k.py', work_dir='runs/first')
    train(cfg)
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, get_rank, get_world_size, is_distributed
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch.nn import Module

from mim_plugin.apis.batch_norm import refuse_single_images, warn_of_lone_sync_bn
from mim_plugin.apis.config_errors import check_top_level_keys, explain_build_errors, read_config
from mim_plugin.apis.config_scopes import settle_scopes
from mim_plugin.apis.config_tree import move_data_root, type_name, walk_dicts
from mim_plugin.apis.detection_errors import TrainedObjects, check_measured_objects
from mim_plugin.apis.token_caches import check_token_caches
from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import CheckpointError, ConfigError, MIMError
from mim_plugin.version import __version__

__all__ = ['build_runner', 'find_last_checkpoint', 'prepare_config', 'run_tool', 'test', 'train']

_CHECKPOINTS = ('epoch_*.pth', 'iter_*.pth', 'interrupt*.pth')
_OWN_ALGORITHMS = ('IBOT', 'DINO', 'DenseDINO', 'BEiT', 'BEiTDINO', 'DiscreteVAE')
_VALIDATION_HOOKS = ('FrozenFeatureHook', 'FeatureGuardHook')


def prepare_config(
    config: str | Config,
    *,
    work_dir: str | None = None,
    resume: str | None = None,
    amp: bool = False,
    auto_scale_lr: bool = False,
    validate: bool = True,
    cfg_options: dict | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config and apply what the command line and the machine ask for.

    Args:
        config: Path of a config file, or a config.
        work_dir: Where logs and checkpoints go; else the config's, else ``work_dirs/<name of the config>``.
        resume: 'auto' continues from the last checkpoint of ``work_dir``, a path from that file.
        amp: Compute in half precision: bfloat16 (float16 on a GPU without it), or as the config says.
        auto_scale_lr: Scale the learning rate by the ratio of the real batch to the config's.
        validate: False leaves validation during training out.
        cfg_options: Overrides with dotted keys, ``{'optim_wrapper.optimizer.lr': 1e-3}``. ``data_root``
            moves every path that the config builds with it.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        The config that :func:`build_runner` takes.

    Raises:
        ConfigError: The file cannot be read, or a key of it or of the overrides is misspelt.
        CheckpointError: There is nothing to resume from.
    """
    name = Path(config if isinstance(config, str) else config.filename or 'run').stem
    cfg = read_config(config) if isinstance(config, str) else copy.deepcopy(config)
    settle_scopes(cfg)
    if cfg_options:
        _merge(cfg, cfg_options)
    check_top_level_keys(cfg)
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    if amp:
        _enable_amp(cfg)
    if auto_scale_lr:
        _enable_lr_scaling(cfg)
    if not validate:
        _drop_validation(cfg)
    if resume:
        cfg.load_from = _checkpoint_to_resume(resume, cfg.work_dir)
        cfg.resume = True
    elif cfg.get('load_from') and not cfg.get('resume') and type_name(cfg.get('model') or {}) in _OWN_ALGORITHMS:
        # mmengine would load what has the same name and pass over the rest, be it everything.
        cfg.model.init_cfg = dict(type='Pretrained', checkpoint=cfg.load_from)
        cfg.load_from = None
    if isinstance(cfg.get('compile'), str):
        _compile_blocks(cfg)
    if get_device() == 'cpu':
        _fit_to_cpu(cfg)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Start the process group where mmengine cannot (without a GPU), then build the Runner."""
    import mim_plugin.checkpoints  # noqa: F401  from here on checkpoints are read safely

    if cfg.get('launcher', 'none') != 'none' and get_device() == 'cpu' and not is_distributed():
        _start_gloo(cfg.launcher)
    with explain_build_errors(cfg):
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    print_log(f'mim_plugin {__version__}', logger='current')
    warn_of_lone_sync_bn(runner.model)
    return runner


def train(cfg: Config) -> Runner:
    """Train as the config says; returns the Runner after the last step."""
    _require(cfg, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper', remedy='is it a config for test.py?')
    check_token_caches(cfg)
    check_measured_objects(cfg, 'val_evaluator')
    runner = build_runner(cfg)
    runner.register_hook(TrainedObjects())
    with explain_build_errors(cfg), refuse_single_images(runner.model, cfg):
        runner.train()
    return runner


def test(cfg: Config, checkpoint: str | None = None, tta: bool = False) -> dict[str, float]:
    """Evaluate as the config's test entries say.

    Args:
        cfg: Result of :func:`prepare_config`.
        checkpoint: Weights to evaluate, every one of which must fit; None keeps what ``model.init_cfg`` loads.
        tta: Average over the config's test-time augmentations.

    Returns:
        The metrics.

    Raises:
        ConfigError: The config has no test entries.
        CheckpointError: The file is missing or does not fit the model.
    """
    remedy = 'configs/evaluation holds configs that evaluate a pretrained backbone.'
    _require(cfg, 'model', 'test_dataloader', 'test_cfg', 'test_evaluator', remedy=remedy)
    if checkpoint and not Path(checkpoint).is_file():
        raise CheckpointError(f'There is no checkpoint {checkpoint}; check the path.')
    check_measured_objects(cfg, 'test_evaluator')
    if tta:
        _use_tta(cfg)
    cfg.load_from, cfg.resume = None, False
    runner = build_runner(cfg)
    with explain_build_errors(cfg):
        if checkpoint:
            _load_strictly(runner, checkpoint)
        else:
            unwrap(runner.model).init_weights()  # init_cfg may name the weights; Runner.test leaves it aside
        return runner.test()


def run_tool(main: Callable[[], object]) -> int:
    """Run a tool's ``main``; print an error that the user can mend as one line.

    Returns:
        Exit code: 0, 2 after such an error, 130 after Ctrl-C.
    """
    try:
        main()
        if is_distributed():
            # Who leaves early breaks the connection under a process that still works.
            barrier()
    except MIMError as error:
        where = f' (process {os.environ["RANK"]})' if os.environ.get('RANK', '0') != '0' else ''
        print(f'error{where}: {_message(error)}', file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr, flush=True)
        return 130
    finally:
        if is_distributed():
            torch.distributed.destroy_process_group()
    return 0


def _message(error: MIMError) -> str:
    text = str(error).strip()
    # A loader's process hands over the whole traceback, whose last line is `module.Class: message`.
    return text.splitlines()[-1].partition(': ')[2] if text.startswith('Caught ') and '\n' in text else text


def find_last_checkpoint(work_dir: str | Path) -> str | None:
    """The checkpoint that was saved last in a folder, also when the folder was moved; None without any."""
    work_dir = Path(work_dir)
    note = work_dir / 'last_checkpoint'
    if note.is_file():
        noted = Path(note.read_text(encoding='utf-8').strip())
        for path in (noted, work_dir / noted.name):
            if path.is_file():
                return str(path)
    found = [path for pattern in _CHECKPOINTS for path in work_dir.glob(pattern)]
    return str(max(found, key=lambda path: path.stat().st_mtime)) if found else None


def _require(cfg: Config, *keys: str, remedy: str) -> None:
    missing = [key for key in keys if cfg.get(key) is None]  # mmpretrain's loops are empty dicts
    if missing:
        raise ConfigError(f'{cfg.filename or "The config"} has no {", ".join(missing)}; {remedy}')


def _merge(cfg: Config, options: dict) -> None:
    if 'data_root' in options:
        options = dict(options)
        move_data_root(cfg, options.pop('data_root'))
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigError(f'--cfg-options {" ".join(options)} does not fit the config: {error}') from error


def _compile_blocks(cfg: Config) -> None:
    if cfg.compile != 'blocks':
        raise ConfigError(
            f'compile={cfg.compile!r} is unknown; use compile=blocks for the transformer blocks, or compile=True for '
            'the whole step.'
        )
    cfg.compile = False
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mim_plugin.CompileBlocksHook')]


def _enable_amp(cfg: Config) -> None:
    wrapper = cfg.get('optim_wrapper')
    kind = type_name(wrapper, 'OptimWrapper') if wrapper else None
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'MIMOptimWrapper', 'MIMAmpOptimWrapper'):
        raise ConfigError(f'--amp does not know optim_wrapper.type={kind}; set half precision in the config.')
    if get_device() == 'cpu':
        wrapper.pop('loss_scale', None)
        wrapper.update(type='mim_plugin.MIMAmpOptimWrapper', dtype='bfloat16')
    elif kind == 'OptimWrapper':
        wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    elif kind == 'MIMOptimWrapper':
        dtype = 'bfloat16' if torch.cuda.is_bf16_supported(including_emulation=False) else 'float16'
        wrapper.update(type='mim_plugin.MIMAmpOptimWrapper', dtype=dtype)


def _enable_lr_scaling(cfg: Config) -> None:
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise ConfigError(
            '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: '
            'the batch that its learning rate is for.'
        )
    cfg.auto_scale_lr.enable = True


def _drop_validation(cfg: Config) -> None:
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[key] = None
    if cfg.get('custom_hooks'):
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks if type_name(hook) not in _VALIDATION_HOOKS]


def _checkpoint_to_resume(resume: str, work_dir: str) -> str:
    if resume != 'auto':
        if not Path(resume).is_file():
            raise CheckpointError(
                f'--resume {resume}: there is no such file; --resume alone takes the last checkpoint of {work_dir}.'
            )
        return resume
    found = find_last_checkpoint(work_dir)
    if found is None:
        raise CheckpointError(
            f'--resume found no checkpoint in {work_dir}; leave --resume out to start anew, or name one: --resume PATH.'
        )
    return found


def _fit_to_cpu(cfg: Config) -> None:
    """What cannot run without a GPU is replaced by its equal in float32; more processes talk over gloo."""
    wrapper = cfg.get('optim_wrapper') or {}
    kind = type_name(wrapper, 'OptimWrapper')
    # mmcv's operators, which detectors train with, know no bfloat16.
    detects = any('rpn_head' in entry for _, entry in walk_dicts(cfg.get('model')))
    float16_only = detects or wrapper.get('dtype') == 'float16'
    if kind == 'AmpOptimWrapper' or (kind == 'MIMAmpOptimWrapper' and float16_only):
        print_log(f'No GPU: {kind} is replaced by its float32 counterpart.', logger='current')
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
        wrapper.type = 'OptimWrapper' if kind == 'AmpOptimWrapper' else 'mim_plugin.MIMOptimWrapper'
    if cfg.launcher == 'none':
        return
    if cfg.launcher != 'pytorch':
        raise ConfigError(f'--launcher {cfg.launcher} needs a GPU on every node; without one use tools/dist_train.sh.')
    cfg.model_wrapper_cfg = {
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
        **(cfg.get('model_wrapper_cfg') or {}),
        'type': 'mim_plugin.CPUDistributedDataParallel',
    }


def _start_gloo(launcher: str) -> None:
    if launcher != 'pytorch' or 'RANK' not in os.environ:
        raise ConfigError('--launcher pytorch is for processes of torchrun; use tools/dist_train.sh CONFIG NUMBER.')
    torch.distributed.init_process_group('gloo')
    print_log(f'No GPU: process {get_rank()} of {get_world_size()} over gloo.', logger='current')


def _use_tta(cfg: Config) -> None:
    if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
        raise ConfigError('--tta needs tta_pipeline and tta_model in the config; mmseg::_base_ has both.')
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = cfg.tta_pipeline
    cfg.model = {**cfg.tta_model, 'module': cfg.model}


def _load_strictly(runner: Runner, checkpoint: str) -> None:
    from mim_plugin.checkpoints import load_pretrained
    from mim_plugin.models.algorithms import FeatureExtractor

    model = unwrap(runner.model)
    if isinstance(model, FeatureExtractor):
        load_pretrained(model.backbone, checkpoint, part=model.network)
        return
    try:
        runner.load_checkpoint(checkpoint, map_location='cpu', strict=True)
    except RuntimeError as error:
        if not _load_by_other_names(model, checkpoint):
            raise CheckpointError(
                f'{checkpoint} does not fit {runner.model_name}; test with the config of its training run. {error}'
            ) from error


def _load_by_other_names(model: Module, checkpoint: str) -> bool:
    """Load a fine-tuned model of another ``img_size``, or with names that are not ours (published); whether it fits."""
    from mim_plugin.checkpoints import load_pretrained

    model = model.module if isinstance(model, BaseTTAModel) else model
    try:
        return not load_pretrained(model, checkpoint).kept
    except CheckpointError:
        return False
