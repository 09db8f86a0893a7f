"""Compare pretraining methods on a labelled folder: python tools/benchmarks/compare_methods.py --data DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from mim_plugin.apis.long_commands.command import names, run_long_command

ARMS = 'random,pixels,beit-dvae,beit-features,dino,ibot'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Trains small networks with iBOT, DINO, BEiT and pixel regression in equal time on the same '
        'images, each with the best of three learning rates, and scores their frozen features. The same command goes '
        'on where it was stopped; other settings add rows to the same table.',
    )
    parser.add_argument(
        '--data', type=Path, required=True, metavar='DIR', help='labelled images: DIR/train/CLASS/*, DIR/val/CLASS/*'
    )
    parser.add_argument('--work-dir', type=Path, default='work_dirs/compare_methods', help='results [%(default)s]')
    parser.add_argument('--arms', type=names, default=ARMS, metavar='A,B,...', help='what is compared [%(default)s]')
    parser.add_argument(
        '--minutes',
        type=float,
        default=40,
        metavar='M',
        help='training time of all arms together with one seed, a third of it for the choice of lr; every further seed '
        'takes the other two thirds again [%(default)s]',
    )
    parser.add_argument('--seeds', type=int, default=1, help='trainings of each arm with its chosen lr [%(default)s]')
    parser.add_argument('--image-size', type=int, default=64, help='side of the crops in pixels [%(default)s]')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='where to compute [a GPU if there is one]')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='change the training configs of these arms: model.head.out_dim=4096',
    )
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from mim_plugin.apis.compare_methods import CompareOptions, compare_methods

    compare_methods(CompareOptions(**{name: value for name, value in vars(args).items() if value is not None}))


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_long_command(lambda: main(arguments), arguments.device))
