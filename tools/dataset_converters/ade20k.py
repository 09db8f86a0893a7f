"""Check a download of ADE20K and point the configs at it: python tools/dataset_converters/ade20k.py DIR --link."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.checks import check_ade20k, link_data_root
from mim_plugin.datasets.checks.downloads import ADE20K_ROOT, how_to_use


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check ADEChallengeData2016: every file, its size and its labels. Nothing is converted. '
        'Exit code 1: problems were found.'
    )
    parser.add_argument('root', metavar='DIR', help='folder ADEChallengeData2016, with images and annotations')
    parser.add_argument('--link', action='store_true', help=f'link {ADE20K_ROOT}, where the configs look, to it')
    parser.add_argument('--workers', type=int, help='processes [one for each core]')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    report = check_ade20k(args.root, args.workers, progress=True)
    print(report)
    if report.problems:
        sys.exit(1)
    if args.link:
        print(link_data_root(args.root, ADE20K_ROOT))
    print(how_to_use(args.root, ADE20K_ROOT))


if __name__ == '__main__':
    sys.exit(run_tool(main))
