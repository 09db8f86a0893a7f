"""Encode the images of a BEiT config once: python tools/encode_tokens.py CONFIG --out DIR --crops 10."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis.encode_tokens import encode_tokens
from mim_plugin.apis.run import run_tool


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write the tokens of a data set to disk, and the config that trains with them '
        '(docs/token_cache.md). The same command goes on with an interrupted run.'
    )
    parser.add_argument('config', help='BEiT config: its images, crop settings and tokenizer are taken')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the cache')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--crops', type=int, metavar='K', help='ids of K fixed crops an image (exact)')
    what.add_argument(
        '--grid',
        type=int,
        nargs='+',
        metavar='ROWS',
        help='ids of the whole image as a grid of ROWS rows, at one or more sizes; training cuts windows',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the fixed crops [%(default)s]')
    parser.add_argument('--batch-size', type=int, default=64, help='images of a batch [%(default)s]')
    parser.add_argument('--num-workers', type=int, default=4, help='processes that decode images [%(default)s]')
    parser.add_argument('--device', help='where the tokenizer runs [a GPU if there is one]')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override config entries: train_dataloader.dataset.data_root=/path/to/photos',
    )
    return parser.parse_args(argv)


if __name__ == '__main__':
    arguments = vars(parse_args())
    sys.exit(run_tool(lambda: encode_tokens(**arguments)))
