"""Predict for images and draw it: python tools/inference.py IMAGES CONFIG CHECKPOINT --out-dir DIR."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import DictAction

from mim_plugin.apis import init_model, iter_inference
from mim_plugin.apis.run import run_tool
from mim_plugin.apis.tasks import task_of


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Segment images, detect objects in them or name their class, and draw it. '
        'Exit code 1: an image could not be read.'
    )
    parser.add_argument('images', nargs='+', help='images, and folders of images')
    parser.add_argument('config', help='config of the training run')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--out-dir', metavar='DIR', help='folder of the pictures [none are drawn]')
    parser.add_argument('--device', help='cpu, cuda:1, ... [a GPU if there is one]')
    parser.add_argument(
        '--score-threshold', type=float, default=0.3, metavar='S', help='show objects from this score on [%(default)s]'
    )
    parser.add_argument('--opacity', type=float, default=0.5, help='of drawn segments, from 0 to 1 [%(default)s]')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override config entries'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    model = init_model(args.config, args.checkpoint, args.device, args.cfg_options)
    found = iter_inference(model, args.images, args.out_dir, args.score_threshold, args.opacity)
    task = task_of(model)
    # Printed at the end: a line on the screen would break the bar.
    lines, unread = [], 0
    for path, sample in found:
        unread += sample is None
        said = 'cannot be read' if sample is None else task.describe(model, sample, args.score_threshold)
        lines.append(f'{path}: {said}')
    print('\n'.join(lines))
    if unread:
        sys.exit(1)


if __name__ == '__main__':
    sys.exit(run_tool(main))
