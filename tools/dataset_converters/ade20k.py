"""Check a download of ADE20K and point the configs at it: python tools/dataset_converters/ade20k.py DIR --link."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.checks.command import check_download, parse_download_args
from mim_plugin.datasets.checks.downloads import ADE20K_ROOT, check_ade20k


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    title = 'Check ADEChallengeData2016: every file, its size and its labels.'
    return parse_download_args(argv, title, 'folder ADEChallengeData2016, with images and annotations', ADE20K_ROOT)


def main(argv: Sequence[str] | None = None) -> None:
    check_download(parse_args(argv), check_ade20k, ADE20K_ROOT)


if __name__ == '__main__':
    sys.exit(run_tool(main))
