"""Compare this package with stored figures of the published implementations.

    python tools/verify_golden.py CASE_DIR [CASE_DIR ...] [--skip-unknown]

Prints one JSON object a quantity and, last, `N passed, M failed` (cases).
"""

import argparse
import sys

import torch

from mim_plugin.errors import MIMError
from mim_plugin.testing.golden import verify


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cases', nargs='+', metavar='CASE_DIR', help='a case, or a folder of cases')
    parser.add_argument(
        '--skip-unknown', action='store_true', help='do not count cases that this version has no computation for'
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        return 0 if verify(options.cases, options.skip_unknown) else 1
    except MIMError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
