"""Write the matrix of formats into docs/checkpoints.md: python tools/model_converters/format_matrix.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mim_plugin.apis.run import run_tool
from mim_plugin.checkpoints.matrix import update_page

PAGE = Path(__file__).parents[2] / 'docs/checkpoints.md'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Find what converts to what, and write it into a page.')
    parser.add_argument('--page', type=Path, default=PAGE, help='page with the markers [docs/checkpoints.md]')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    page = parse_args(argv).page
    print(f'{page}: {"changed" if update_page(page) else "unchanged"}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
