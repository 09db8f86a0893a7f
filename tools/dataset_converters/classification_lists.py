"""Write lists of labelled images: python tools/dataset_converters/classification_lists.py {inaturalist,imagenet} ..."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mim_plugin.apis.run import run_tool
from mim_plugin.datasets.lists import imagenet_subset, inaturalist, write_list


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write a list of images and labels that the configs name as ann_file.')
    kinds = parser.add_subparsers(dest='kind', required=True)
    species = kinds.add_parser('inaturalist', help='from an annotation file of iNaturalist 2018 or 2019')
    species.add_argument('annotations', metavar='FILE.json', help='train2018.json, val2018.json, ...')
    subset = kinds.add_parser('imagenet', help='from a list of file names, such as 1percent.txt of SimCLR')
    subset.add_argument('names', metavar='FILE.txt', help='one file name a line')
    subset.add_argument('train_folder', metavar='DIR', help='all training images, a folder for each class')
    for kind in (species, subset):
        kind.add_argument('out', metavar='OUT.txt', help='the list, such as data/inaturalist2018/meta/train.txt')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.kind == 'inaturalist':
        listed = inaturalist(args.annotations)
    else:
        listed = imagenet_subset(args.names, args.train_folder)
    classes = len({label for _, label in listed})
    print(f'{write_list(listed, args.out)}: {len(listed)} images of {classes} classes')


if __name__ == '__main__':
    sys.exit(run_tool(main))
