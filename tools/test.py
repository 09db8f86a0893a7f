"""Evaluate a checkpoint as a config says: python tools/test.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction
from mmengine.dist import is_main_process

from mim_plugin.apis.run import prepare_config, run_tool, test


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint as a config says.')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', nargs='?', help='weights to evaluate [what model.init_cfg names]')
    parser.add_argument('--work-dir', help='folder of the log [work_dirs/<name of the config>]')
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument('--tta', action='store_true', help='average over the test-time augmentations of the config')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override config entries'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes it; torchrun sets the environment instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = prepare_config(args.config, work_dir=args.work_dir, cfg_options=args.cfg_options, launcher=args.launcher)
    metrics = test(cfg, args.checkpoint, tta=args.tta)
    if args.out and is_main_process():
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(metrics, indent=2, default=float) + '\n', encoding='utf-8')


if __name__ == '__main__':
    sys.exit(run_tool(main))
