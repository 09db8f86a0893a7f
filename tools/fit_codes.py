"""Fit the k-means codes of a BEiT config to your images: python tools/fit_codes.py CONFIG --data DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis.fit_codes import fit_codes
from mim_plugin.apis.run import run_tool


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Fit k-means codes to images, for BEiT to predict.')
    parser.add_argument('config', help='a training config whose model.tokenizer is a KMeansTokenizer')
    parser.add_argument('--data', metavar='DIR', help="folder of the images [the config's train data_root]")
    parser.add_argument('--num-codes', type=int, metavar='K', help='number of codes [vocabulary_size of the config]')
    parser.add_argument('--num-images', type=int, metavar='N', help='take so many images, at random [all]')
    parser.add_argument('--out', metavar='FILE', help="the file to write [the config's model.tokenizer.checkpoint]")
    parser.add_argument('--seed', type=int, default=0, help='seed of everything random [0]')
    parser.add_argument('--workers', type=int, default=2, help='processes that read images [2]')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override config entries: model.tokenizer.features.checkpoint=FILE',
    )  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    report = fit_codes(
        args.config, args.data, args.num_codes, args.num_images, args.out, args.seed, args.workers, args.cfg_options
    )
    print(report)


if __name__ == '__main__':
    sys.exit(run_tool(main))
