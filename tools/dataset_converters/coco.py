"""Check a download of COCO 2017 and point the configs at it: python tools/dataset_converters/coco.py DIR --link."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.checks import check_coco2017, link_data_root
from mim_plugin.datasets.checks.downloads import COCO_ROOT, how_to_use


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check COCO 2017: every image, its size, and every object. Nothing is converted. '
        'Exit code 1: problems were found.'
    )
    parser.add_argument('root', metavar='DIR', help='folder with train2017, val2017 and annotations')
    parser.add_argument('--link', action='store_true', help=f'link {COCO_ROOT}, where the configs look, to it')
    parser.add_argument('--workers', type=int, help='processes [one for each core]')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    report = check_coco2017(args.root, args.workers, progress=True)
    print(report)
    if report.problems:
        sys.exit(1)
    if args.link:
        print(link_data_root(args.root, COCO_ROOT))
    print(how_to_use(args.root, COCO_ROOT))


if __name__ == '__main__':
    sys.exit(run_tool(main))
