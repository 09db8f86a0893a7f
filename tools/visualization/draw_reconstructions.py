"""Draw what BEiT predicts for hidden patches, decoded to pixels.

python tools/visualization/draw_reconstructions.py CONFIG CHECKPOINT --images DIR --out FILE
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from mim_plugin.apis.predictions import picture_of_predictions
from mim_plugin.apis.run import run_tool


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw what BEiT predicts for hidden patches.')
    parser.add_argument('config', help='a training config of BEiT whose tokenizer can decode')
    parser.add_argument('checkpoint', help='weights of its training')
    parser.add_argument('--images', nargs='+', required=True, metavar='PATH', help='image files and folders of images')
    parser.add_argument('--out', default='reconstructions.png', metavar='FILE', help='the picture to write')
    parser.add_argument('--count', type=int, default=6, help='images to draw at most [6]')
    parser.add_argument('--seed', type=int, default=0, help='seed of the masks [0]')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override config entries: model.tokenizer.checkpoint=FILE',
    )  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    figure = picture_of_predictions(
        args.config, args.checkpoint, args.images, args.count, args.seed, args.cfg_options
    )  # fmt: skip
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out)
    print(f'written to {args.out}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
