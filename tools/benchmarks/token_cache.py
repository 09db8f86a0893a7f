"""Training speed with and without a token cache: python tools/benchmarks/token_cache.py CONFIG --data DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis.benchmark_token_cache import benchmark_token_cache
from mim_plugin.apis.run import run_tool


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train a few steps of a BEiT config with its tokenizer and with cached ids, in turns.'
    )
    parser.add_argument('config', help='BEiT config that runs its tokenizer; its weights may be missing')
    parser.add_argument('--data', metavar='DIR', help="folder of images, in any depth [the config's]")
    parser.add_argument('--images', type=int, default=64, help='images that are used [%(default)s]')
    parser.add_argument('--batch-size', type=int, default=8, help='images of a step [%(default)s]')
    parser.add_argument('--num-workers', type=int, default=0, help='processes that decode images [%(default)s]')
    parser.add_argument('--steps', type=int, default=3, help='steps of a turn [%(default)s]')
    parser.add_argument('--rounds', type=int, default=5, help='turns of each arm that are counted [%(default)s]')
    parser.add_argument('--device', help='where to train [a GPU if there is one]')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override the config')
    return parser.parse_args(argv)


if __name__ == '__main__':
    arguments = vars(parse_args())
    sys.exit(run_tool(lambda: print(benchmark_token_cache(**arguments))))
