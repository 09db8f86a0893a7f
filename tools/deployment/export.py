"""Write a network as ONNX or torch.export: python tools/deployment/export.py CONFIG CHECKPOINT DST.onnx [--dynamic]."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis.run import run_tool
from mim_plugin.deployment import export_graph
from mim_plugin.errors import ConfigError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write the backbone or the segmentor of a config as a graph, and compare it with the network.'
    )
    parser.add_argument('config', help='config of the training run')
    parser.add_argument('checkpoint', help='its weights; for a backbone any pretrained file')
    parser.add_argument('dst', help='file: *.onnx, or *.pt2 for torch.export')
    parser.add_argument('--part', choices=('backbone', 'segmentor'), help='[the segmentor if the config has one]')
    parser.add_argument(
        '--size', nargs='+', type=int, action='append', default=[], metavar='PIXELS',
        help='height and width of the images, or one number; repeat it for a graph each [img_size of the backbone]',
    )  # fmt: skip
    parser.add_argument('--dynamic', action='store_true', help='one graph for images of any size')
    parser.add_argument('--opset', type=int, metavar='N', help="version of ONNX's operators [18]")
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override config entries'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    for size in args.size:
        if len(size) > 2:
            raise ConfigError(f'--size {" ".join(map(str, size))} has {len(size)} numbers; give height and width.')
    found = export_graph(
        args.config,
        args.checkpoint,
        args.dst,
        part=args.part,
        sizes=[(size[0], size[-1]) for size in args.size],
        dynamic=args.dynamic,
        opset=args.opset,
        cfg_options=args.cfg_options,
    )
    print('\n'.join(map(str, found)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
