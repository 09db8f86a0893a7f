"""Train a config, on one machine without a launcher: python tools/train.py CONFIG."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis.run import prepare_config, run_tool, train


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model as a config says.')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints [work_dirs/<name of the config>]')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='continue from the last checkpoint of the work dir, or from PATH',
    )
    parser.add_argument('--amp', action='store_true', help='half precision (bfloat16 without a GPU)')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the real batch')
    parser.add_argument('--no-validate', action='store_true', help='leave validation during training out')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override config entries: optim_wrapper.optimizer.lr=1e-3 train_dataloader.batch_size=32',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes it; torchrun sets the environment instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    train(
        prepare_config(
            args.config,
            work_dir=args.work_dir,
            resume=args.resume,
            amp=args.amp,
            auto_scale_lr=args.auto_scale_lr,
            validate=not args.no_validate,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
        )
    )


if __name__ == '__main__':
    sys.exit(run_tool(main))
