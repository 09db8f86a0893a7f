"""Draw images beside what a tokenizer's codes decode to, and how often each code occurs.

python tools/visualization/draw_codes.py CONFIG --checkpoint FILE --images DIR --out FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction

from mim_plugin.apis.codebook import load_tokenizer, measure_codes
from mim_plugin.apis.run import run_tool
from mim_plugin.visualization import draw_code_usage, draw_reconstructions


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure and draw the codes of a folder of images.')
    parser.add_argument('config', help='a training config of a dVAE, or of a BEiT whose tokenizer can decode')
    parser.add_argument('--checkpoint', metavar='FILE', help="weights of the tokenizer [the config's]")
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of images')
    parser.add_argument('--out', default='codes', metavar='FOLDER', help='where the pictures go [codes]')
    parser.add_argument('--count', type=int, default=12, help='images to draw at most [12]')
    parser.add_argument('--size', type=int, help="side of what the tokenizer is shown, in pixels [the config's]")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override entries')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    tokenizer, size = load_tokenizer(args.config, args.checkpoint, args.cfg_options)
    report = measure_codes(tokenizer, args.images, args.size or size, args.count)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    draw_reconstructions(report.images, report.decoded).savefig(folder / 'reconstructions.png')
    draw_code_usage(report.counts.numpy()).savefig(folder / 'usage.png')
    print(report)
    print(f'Pictures are in {folder}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
