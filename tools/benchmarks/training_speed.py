"""Speed and memory of training steps, without the loader: python tools/benchmarks/training_speed.py CONFIG."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis.benchmark_training import PRECISIONS, benchmark_training, speed_table
from mim_plugin.apis.run import run_tool


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Time the training steps of a pretraining config on made batches. On a GPU, also count the '
        'operations of its matrix products and the times that a step waits for the GPU.'
    )
    parser.add_argument('config', help='pretraining config; neither its data nor files of weights are needed')
    parser.add_argument('--precision', nargs='+', choices=PRECISIONS, default=['config'], help='a row for each')
    parser.add_argument('--compile', choices=['blocks', 'step'], help='a second row for each, with this compiled')
    parser.add_argument('--batch-size', type=int, help="images of a step [the config's]")
    parser.add_argument('--steps', type=int, default=10, help='steps of a round [%(default)s]')
    parser.add_argument('--rounds', type=int, default=3, help='timed rounds, of which the median counts [%(default)s]')
    parser.add_argument('--warmup', type=int, default=10, help='steps before that are not timed [%(default)s]')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override the config')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    options = vars(parse_args(argv))
    precisions, with_compiled = options.pop('precision'), options.pop('compile')
    rows = [
        benchmark_training(**options, precision=precision, compiled=compiled)
        for precision in precisions
        for compiled in ([None, with_compiled] if with_compiled else [None])
    ]
    print(speed_table(rows))


if __name__ == '__main__':
    sys.exit(run_tool(main))
