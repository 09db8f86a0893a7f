"""Train every downstream task for a minute: python tools/benchmarks/downstream_smoke.py --data DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mim_plugin.apis.long_commands.command import names, run_long_command

TASKS = 'upernet,setr-pup,linear,classification,detection'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Trains segmentation, classification and detection on small real images, from the shipped '
        'checkpoint and from random weights, and shows the figures of the toolboxes. The same command goes on where '
        'it was stopped.',
    )
    parser.add_argument(
        '--data', type=Path, required=True, metavar='DIR', help='folder with seg, imagenet_like and coco_mini'
    )
    parser.add_argument('--work-dir', type=Path, default='work_dirs/downstream_smoke', help='results [%(default)s]')
    parser.add_argument('--tasks', type=names, default=TASKS, metavar='A,B,...', help='what is trained [%(default)s]')
    parser.add_argument('--seeds', type=int, default=3, help='trainings of a task from each start [%(default)s]')
    parser.add_argument('--iterations', type=int, metavar='N', help="steps of every training [the configs']")
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='where to compute [a GPU if there is one]')
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    from mim_plugin.apis.downstream_smoke import SmokeOptions, downstream_smoke

    downstream_smoke(SmokeOptions(**{name: value for name, value in vars(args).items() if value is not None}))


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_long_command(lambda: main(arguments), arguments.device))
