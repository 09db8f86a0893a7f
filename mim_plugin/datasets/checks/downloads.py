"""Checks of ADE20K and COCO 2017 as they are downloaded, and the way from there to the configs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mim_plugin.datasets.checks.coco import check_coco
from mim_plugin.datasets.checks.report import Report, counted
from mim_plugin.datasets.checks.segmentation import check_pairs, files_by_name
from mim_plugin.errors import DataError

__all__ = ['ADE20K_ROOT', 'COCO_ROOT', 'check_ade20k', 'check_coco2017', 'how_to_use', 'link_data_root']

# Where the configs look by default, as those of the toolboxes.
ADE20K_ROOT = 'data/ade/ADEChallengeData2016'
COCO_ROOT = 'data/coco'

_ADE20K = {'training': ('ADE_train', 20210), 'validation': ('ADE_val', 2000)}
_COCO = {'train2017': (118287, 860001), 'val2017': (5000, 36781)}  # images, objects


def check_ade20k(root: str, workers: int | None = None, progress: bool = False) -> Report:
    """Check the download ``ADEChallengeData2016`` (SceneParsing, 150 classes, value 0 ignored).

    Args:
        root: Folder with ``images`` and ``annotations``, each with ``training`` and ``validation``.
        workers: Processes; None: one for each core.
        progress: Show a bar.

    Returns:
        What was found; every missing file counts, by its name.

    Raises:
        DataError: ``root`` is no folder.
    """
    folders = [f'{kind}/{split}' for kind in ('images', 'annotations') for split in _ADE20K]
    report = _start(root, folders, 'ADEChallengeData2016', 'ADEChallengeData2016.zip')
    pairs = []
    for split, (prefix, number) in _ADE20K.items():
        expected = [f'{prefix}_{i:08d}' for i in range(1, number + 1)]
        found = {}
        for kind, suffix in (('images', '.jpg'), ('annotations', '.png')):
            folder = Path(root, kind, split)
            names = files_by_name(str(folder), suffix) if folder.is_dir() else {}
            found[kind] = {name: folder / path for name, path in names.items()}
            report.counts.append(f'{kind}/{split}: {len(names)} of {number} files.')
            if folder.is_dir():
                missing = [f'{name}{suffix}' for name in expected if name not in names]
                report.add(f'files missing in {folder}', missing, 'unpack ADEChallengeData2016.zip again')
                extra = sorted(names.keys() - set(expected))
                report.add(f'files in {folder} that are not of ADE20K', extra, is_note=True)
        both = sorted(found['images'].keys() & found['annotations'].keys())
        pairs += [(found['images'][name], found['annotations'][name]) for name in both]
    check_pairs(report, pairs, 150, reduce_zero_label=True, workers=workers, progress=progress)
    return report


def check_coco2017(root: str, workers: int | None = None, progress: bool = False) -> Report:
    """Check the download of COCO 2017: ``train2017``, ``val2017`` and ``annotations/instances_*.json``.

    Args:
        root: Folder with the three folders.
        workers: Processes; None: one for each core.
        progress: Show a bar.

    Returns:
        What was found.

    Raises:
        DataError: ``root`` is no folder, or a file of annotations is damaged.
    """
    files = {split: f'annotations/instances_{split}.json' for split in _COCO}
    report = _start(root, [*_COCO, *files.values()], 'coco', 'train2017.zip, val2017.zip, annotations_trainval2017.zip')
    for split, (images, objects) in _COCO.items():
        folder, file = Path(root, split), Path(root, files[split])
        if not folder.is_dir() or not file.is_file():
            continue
        part = check_coco(str(file), str(folder), official=True, workers=workers, progress=progress)
        report.counts += [f'{split}: {line}' for line in part.counts]
        report.findings += [replace(finding, what=f'{split}: {finding.what}') for finding in part.findings]
        expected = f'{counted(images, "image")}, {counted(objects, "object")}, 80 categories.'
        if part.counts[0] != expected:
            remedy = 'take annotations_trainval2017.zip; a set of your own is checked by check_dataset.py'
            report.add("files of annotations that are not COCO's", [f'{file} (COCO has {expected[:-1]})'], remedy)
    return report


def _start(root: str, wanted: list[str], name: str, archive: str) -> Report:
    """A report that names the missing folders and files."""
    if not Path(root).is_dir():
        raise DataError(f'There is no folder {root}; give the one that {archive} was unpacked to.')
    missing = [path for path in wanted if not Path(root, path).exists()]
    if len(missing) == len(wanted):
        inner = Path(root, name)
        hint = f'give {inner}' if inner.is_dir() else f'unpack {archive} there'
        raise DataError(f'{root} holds none of {", ".join(wanted)}; {hint}.')
    report = Report()
    report.add('folders or files missing', [str(Path(root, path)) for path in missing], f'unpack {archive} again')
    return report


def link_data_root(root: str, link: str) -> str:
    """Put a link to a data folder where the configs look for it.

    Args:
        root: The data folder.
        link: Path of the link; folders above it are made.

    Returns:
        What was done, in a sentence.

    Raises:
        DataError: Something else is there, which is left alone.
    """
    target, place = Path(root).resolve(), Path(link)
    if place.exists() and place.resolve() == target:
        return f'{link} already leads to {target}.'
    if place.is_symlink() or place.exists():
        raise DataError(f'{link} exists and does not lead to {target}; move it away, then link again.')
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target, target_is_directory=True)
    return f'{link} now leads to {target}.'


def how_to_use(root: str, link: str) -> str:
    """What to type so that the configs read a folder."""
    target = Path(root).resolve()
    if Path(link).exists() and Path(link).resolve() == target:
        return f'The configs find it at {link}.'
    return (
        f'Train with it: tools/train.py CONFIG --cfg-options data_root={target}\n'
        f'or put a link where the configs look, {link}: the same command with --link.'
    )
