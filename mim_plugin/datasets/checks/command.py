"""What the tools that check data have in common: their arguments, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from mim_plugin.datasets.checks.downloads import how_to_use, link_data_root
from mim_plugin.datasets.checks.report import Report

__all__ = ['check_download', 'parse_download_args', 'print_report']


def parse_download_args(argv: Sequence[str] | None, title: str, folder: str, place: str) -> argparse.Namespace:
    """Arguments of a tool for a data set as it is downloaded.

    Args:
        argv: Arguments of the tool; None: those of the program.
        title: What is checked.
        folder: What the user names.
        place: Where the configs look for the data.
    """
    parser = argparse.ArgumentParser(description=f'{title} Nothing is converted. Exit code 1: problems were found.')
    parser.add_argument('root', metavar='DIR', help=folder)
    parser.add_argument('--link', action='store_true', help=f'link {place}, where the configs look, to it')
    parser.add_argument('--workers', type=int, help='processes [one for each core]')
    return parser.parse_args(argv)


def check_download(args: argparse.Namespace, check: Callable[..., Report], place: str) -> None:
    """Checks a data set as it is downloaded, and links it or tells how to use it.

    Args:
        args: Those of :func:`parse_download_args`.
        check: ``(root, workers, progress=...)`` gives the report.
        place: Where the configs look for the data.
    """
    print_report(check(args.root, args.workers, progress=True))
    if args.link:
        print(link_data_root(args.root, place))
    print(how_to_use(args.root, place))


def print_report(report: Report) -> None:
    """Prints what was found, and ends the program with exit code 1 if there are problems."""
    print(report)
    if report.problems:
        sys.exit(1)
