"""Make a checkpoint ready to be given to others: python tools/model_converters/publish.py SRC [DST]."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.checkpoints.publish import publish_checkpoint


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Leave out of a checkpoint what only its training needs, and put the hash of the file in its name.'
    )
    parser.add_argument('src', help='checkpoint, .pth or .safetensors')
    parser.add_argument('dst', nargs='?', help='NAME.pth or NAME.safetensors, written as NAME-<hash> [beside SRC]')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    print(publish_checkpoint(args.src, args.dst))


if __name__ == '__main__':
    sys.exit(run_tool(main))
