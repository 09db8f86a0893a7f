"""Check annotated data of your own: python tools/dataset_converters/check_dataset.py {segmentation,coco} ..."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.checks import check_coco, check_segmentation
from mim_plugin.datasets.checks.command import print_report


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check a data set once over its files. Exit code 1: problems were found.'
    )
    kinds = parser.add_subparsers(dest='kind', required=True)
    masks = kinds.add_parser('segmentation', help='a folder of images and a folder of masks, as mmseg reads them')
    masks.add_argument('--images', required=True, metavar='DIR')
    masks.add_argument('--annotations', required=True, metavar='DIR', help='folder of the masks')
    masks.add_argument('--classes', required=True, type=int, dest='num_classes', metavar='N', help='number of classes')
    masks.add_argument(
        '--ignore', type=int, nargs='+', default=[255], metavar='VALUE', help='values that the config ignores [255]'
    )
    masks.add_argument('--reduce-zero-label', action='store_true', help='0 is ignored and 1 is the first class')
    masks.add_argument('--image-suffix', metavar='END', help="end of image names, mmseg's img_suffix [any image]")
    masks.add_argument('--mask-suffix', default='.png', metavar='END', help="mmseg's seg_map_suffix [%(default)s]")
    objects = kinds.add_parser('coco', help="a folder of images and objects in COCO's JSON, as mmdet reads them")
    objects.add_argument('--images', required=True, metavar='DIR')
    objects.add_argument('--annotations', required=True, metavar='FILE.json')
    for part in (masks, objects):
        part.add_argument('--workers', type=int, help='processes [one for each core]')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = vars(parse_args(argv))
    check = {'segmentation': check_segmentation, 'coco': check_coco}[args.pop('kind')]
    print_report(check(**args, progress=True))


if __name__ == '__main__':
    sys.exit(run_tool(main))
