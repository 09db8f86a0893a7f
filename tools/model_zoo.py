"""Rewrite the tables of docs/model_zoo.md after a metafile changed: python tools/model_zoo.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mim_plugin.apis.model_tables import fill_tables
from mim_plugin.apis.run import run_tool

PAGE = Path(__file__).resolve().parents[1] / 'docs/model_zoo.md'


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description='Rewrite the tables of docs/model_zoo.md from the metafiles.').parse_args(argv)
    PAGE.write_text(fill_tables(PAGE.read_text(encoding='utf-8')), encoding='utf-8')


if __name__ == '__main__':
    sys.exit(run_tool(main))
