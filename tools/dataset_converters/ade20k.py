"""Check a download of ADE20K and point the configs at it: python tools/dataset_converters/ade20k.py DIR --link."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.checks.command import check_download
from mim_plugin.datasets.checks.downloads import ADE20K_ROOT, check_ade20k


def main(argv: Sequence[str] | None = None) -> None:
    title = 'Check ADEChallengeData2016: every file, its size and its labels.'
    folder = 'folder ADEChallengeData2016, with images and annotations'
    check_download(argv, title, folder, check_ade20k, ADE20K_ROOT)


if __name__ == '__main__':
    sys.exit(run_tool(main))
