"""Check a download of COCO 2017 and point the configs at it: python tools/dataset_converters/coco.py DIR --link."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.checks.command import check_download, parse_download_args
from mim_plugin.datasets.checks.downloads import COCO_ROOT, check_coco2017


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    title = 'Check COCO 2017: every image, its size, and every object.'
    return parse_download_args(argv, title, 'folder with train2017, val2017 and annotations', COCO_ROOT)


def main(argv: Sequence[str] | None = None) -> None:
    check_download(parse_args(argv), check_coco2017, COCO_ROOT)


if __name__ == '__main__':
    sys.exit(run_tool(main))
