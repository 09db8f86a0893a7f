"""Go on from a trained network in three ways: python tools/benchmarks/continue_pretraining.py --data DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mim_plugin.apis.long_commands.command import names, run_long_command

ARMS = 'heads,warmed,careless'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Goes on with the pretraining of the shipped network: with its heads, with new heads that are '
        'warmed up, and with new heads as a training from scratch would. Shows what becomes of k-NN accuracy. The '
        'same command goes on where it was stopped.',
    )
    parser.add_argument('--data', type=Path, required=True, metavar='DIR', help='train/CLASS/*, val/CLASS/*')
    parser.add_argument('--work-dir', type=Path, default='work_dirs/continue_pretraining', help='[%(default)s]')
    parser.add_argument('--arms', type=names, default=ARMS, metavar='A,B,...', help='[%(default)s]')
    parser.add_argument('--seeds', type=int, default=3, help='trainings of each arm [%(default)s]')
    parser.add_argument('--epochs', type=int, default=40, help='length of each [%(default)s]')
    parser.add_argument('--checkpoint', type=Path, metavar='FILE', help='start, with heads [the shipped one]')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='where to compute [a GPU if there is one]')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from mim_plugin.apis.continue_pretraining import ContinueOptions, continue_pretraining

    continue_pretraining(ContinueOptions(**{name: value for name, value in vars(args).items() if value is not None}))


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_long_command(lambda: main(arguments), arguments.device))
