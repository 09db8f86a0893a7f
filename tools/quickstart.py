"""Pretrain, compare, segment and draw in minutes: bash tools/quickstart.sh."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mim_plugin.apis.long_commands.command import run_long_command


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/quickstart.sh',
        description='Pretraining that goes on from a small shipped checkpoint, frozen features before and after, '
        'a segmentation, and pictures of all of it. Without --data: solar cells and composed scenes.',
    )
    parser.add_argument(
        '--data',
        type=Path,
        metavar='DIR',
        help='your images, in any depth; with train/CLASS and val/CLASS folders features are scored too, with '
        '{images,annotations}/{training,validation} a segmentation is trained too',
    )
    parser.add_argument('--method', default='beit', help='ibot or beit [%(default)s]')
    parser.add_argument('--epochs', type=int, help='epochs of pretraining [what fits into minutes]')
    parser.add_argument('--work-dir', type=Path, default='work_dirs/quickstart', help='results [%(default)s]')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='where to compute [a GPU if there is one]')
    parser.add_argument('--seed', type=int, default=0, help='seed of everything random [%(default)s]')
    parser.add_argument('--resume', action='store_true', help='go on with a run that was stopped')
    parser.add_argument('--checkpoint', type=Path, metavar='FILE', help='file to go on from [the shipped one]')
    parser.add_argument('--from-scratch', action='store_true', help='pretrain from random weights')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from mim_plugin.apis.quickstart import QuickstartOptions, run_quickstart

    run_quickstart(QuickstartOptions(**{name: value for name, value in vars(args).items() if value is not None}))


if __name__ == '__main__':
    arguments = parse_args()
    goes_on = 'The same command with --resume goes on after the last finished step.'
    sys.exit(run_long_command(lambda: main(arguments), arguments.device, goes_on))
