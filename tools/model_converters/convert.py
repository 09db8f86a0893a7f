"""Convert a checkpoint: python tools/model_converters/convert.py SRC DST [--from FORMAT] [--to FORMAT]."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.checkpoints import convert
from mim_plugin.checkpoints.geometry import Geometry
from mim_plugin.errors import ConfigError

SIZES = ('patch_size', 'window_size', 'in_channels', 'relative_bias', 'position_rule')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    from mim_plugin.checkpoints.formats.registry import FORMATS

    names = ', '.join(known.name for known in FORMATS)
    parser = argparse.ArgumentParser(
        description=f'Convert a checkpoint from one family of names to another. Formats: {names}. '
        'What is lost or missing is an error unless a pattern allows it.'
    )
    parser.add_argument('src', help='checkpoint: .pth, .safetensors, or a folder')
    parser.add_argument('dst', help='file to write: .pth or .safetensors (a folder for hugging_face)')
    parser.add_argument('--from', dest='from_format', metavar='FORMAT', help='of the source [recognised]')
    parser.add_argument('--to', dest='to_format', default='mim_plugin', metavar='FORMAT', help='[%(default)s]')
    parser.add_argument('--report', metavar='FILE.json', help='write what was done with each tensor')
    patterns = {'action': 'append', 'default': [], 'metavar': 'PATTERN'}
    parser.add_argument('--allow-missing', help='target names that may stay unfilled; may be repeated', **patterns)
    parser.add_argument('--allow-unused', help='source names that may be lost; may be repeated', **patterns)
    parser.add_argument('--part', choices=('teacher', 'student'), help='take one network of a pair')
    parser.add_argument('--verify', action='store_true', help='compare outputs with those of their classes first')
    parser.add_argument('--with-training-state', action='store_true', help='carry the optimizer and the like')
    parser.add_argument('--allow-unsafe', action='store_true', help='unpickle anything, which may run code in the file')
    parser.add_argument(
        '--num-heads', type=int, metavar='N', help='of attention, where a file does not tell [64 channels for each]'
    )
    sizes = parser.add_argument_group('other sizes', 'what the weights are changed to')
    sizes.add_argument('--img-size', type=int, nargs='+', metavar='N', help='pixels: a side, or height and width')
    sizes.add_argument('--patch-size', type=int, metavar='N', help='pixels')
    sizes.add_argument('--window-size', type=int, metavar='N', help='cells along a window of a Swin transformer')
    sizes.add_argument('--in-channels', type=int, metavar='N', help='of the images')
    sizes.add_argument('--relative-bias', choices=('shared', 'per_block'), help='one table, or one for each block')
    sizes.add_argument(
        '--position-rule', default='size', metavar='RULE', help='size, ibot (offset of 0.1) or bilinear [%(default)s]'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = vars(parse_args(argv))
    sizes = {key: args.pop(key) for key in SIZES}
    size = args.pop('img_size')
    if size is not None and len(size) > 2:
        raise ConfigError(f'--img-size takes one or two numbers, not {len(size)}.')
    img_size = size[0] if size and len(size) == 1 else size and tuple(size)
    print(convert(**args, geometry=Geometry(img_size=img_size, **sizes)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
