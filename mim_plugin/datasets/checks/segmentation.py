"""Checks of images with masks, in the folders that mmseg's data sets read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mim_plugin.datasets.checks.reading import ImageFile, MaskFile, map_files, read_image, read_mask
from mim_plugin.datasets.checks.report import Report, counted
from mim_plugin.datasets.files import IMAGE_EXTENSIONS, find_images
from mim_plugin.errors import ConfigError, DataError

__all__ = ['check_pairs', 'check_segmentation', 'files_by_name']


def check_segmentation(
    images: str,
    annotations: str,
    num_classes: int,
    ignore: Sequence[int] = (255,),
    reduce_zero_label: bool = False,
    image_suffix: str | None = None,
    mask_suffix: str = '.png',
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Check a folder of images against a folder of masks.

    Args:
        images: Folder of images.
        annotations: Folder of masks, with the same folders in it.
        num_classes: Number of classes N. Allowed values are 0 to N - 1, or with ``reduce_zero_label`` 0 to N.
        ignore: Values that the config ignores.
        reduce_zero_label: As mmseg's option: value 0 is ignored, 1 is the first class (ADE20K).
        image_suffix: End of the names of images, replaced by ``mask_suffix`` in those of masks; None: any image.
        mask_suffix: End of the names of masks.
        workers: Processes; None: one for each core.
        progress: Show a bar.

    Returns:
        What was found.

    Raises:
        DataError: A folder is missing or holds no image.
        ConfigError: ``num_classes`` or ``ignore`` cannot be.
    """
    found = files_by_name(images, image_suffix)
    if not found:
        raise DataError(f'{images} holds no image{f" *{image_suffix}" if image_suffix else ""}; check the path.')
    masks = files_by_name(annotations, mask_suffix)
    report = Report()
    without = [found[name] for name in found if name not in masks]
    remedy = f'a mask is called as its image, with {mask_suffix} at the end: add the mask or remove the image'
    report.add(f'images of {images} without a mask in {annotations}', without, remedy)
    report.add('masks without an image', [masks[name] for name in masks if name not in found], is_note=True)
    endings = Counter(Path(path).suffix for path in found.values())
    if image_suffix is None and len(endings) > 1:
        listed = [f'{ending} ({counted(number, "image")})' for ending, number in endings.most_common()]
        report.add('endings of image names', listed, 'mmseg reads the images with one img_suffix; convert the others')
    pairs = [(Path(images, found[name]), Path(annotations, masks[name])) for name in found if name in masks]
    check_pairs(report, pairs, num_classes, ignore, reduce_zero_label, workers, progress)
    return report


def files_by_name(folder: str, suffix: str | None = None) -> dict[str, str]:
    """Path of each file in a folder and its folders, by its path without the suffix (None: of any image)."""
    paths = find_images(folder, IMAGE_EXTENSIONS if suffix is None else (suffix.lower(),))
    return {path[: -len(suffix or Path(path).suffix)]: path for path in paths}


def check_pairs(
    report: Report,
    pairs: Sequence[tuple[Path, Path]],
    num_classes: int,
    ignore: Sequence[int] = (255,),
    reduce_zero_label: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> None:
    """Check images and their masks, see :func:`check_segmentation`, and write into a report what is found."""
    allowed = _allowed_values(num_classes, ignore, reduce_zero_label)
    title = f'Reading {len(pairs)} images and masks' if progress else ''
    read = map_files(_read_pair, pairs, workers, title)
    _report_files(report, pairs, read)
    masks = {str(pair[1]): mask.pixels for pair, (_, mask) in zip(pairs, read, strict=True) if mask.pixels}
    _report_values(report, masks, allowed, num_classes, reduce_zero_label)


def _read_pair(pair: tuple[Path, Path]) -> tuple[ImageFile, MaskFile]:
    return read_image(str(pair[0])), read_mask(str(pair[1]))


def _allowed_values(num_classes: int, ignore: Sequence[int], reduce_zero_label: bool) -> tuple[set[int], set[int]]:
    """Values of classes, and those that are ignored."""
    if num_classes < 1:
        raise ConfigError(f'--classes {num_classes}: give at least one class.')
    if not reduce_zero_label:
        return set(range(num_classes)) - set(ignore), set(ignore)
    if set(ignore) != {255}:
        # mmseg itself moves 0 to 255 and takes one from every other value.
        raise ConfigError('reduce_zero_label ignores the values 0 and 255 and no other; leave --ignore out.')
    return set(range(1, num_classes + 1)), {0, 255}


def _report_files(
    report: Report, pairs: Sequence[tuple[Path, Path]], read: Sequence[tuple[ImageFile, MaskFile]]
) -> None:
    damaged, coloured, sizes = [], [], []
    for (image_path, mask_path), (image, mask) in zip(pairs, read, strict=True):
        damaged += [f'{path} ({file.error})' for path, file in ((image_path, image), (mask_path, mask)) if file.error]
        if mask.channels > 1:
            coloured.append(f'{mask_path} ({mask.channels} channels)')
        if image.size and mask.size and image.size != mask.size:
            sizes.append(f'{image_path} ({_times(image.size)}) with {mask_path} ({_times(mask.size)})')
    report.add('unreadable files', damaged, 'copy or download them again')
    remedy = 'write the index of the class into one channel (a palette image keeps colours to look at)'
    report.add('masks with colours', coloured, remedy)
    remedy = 'resize the mask with nearest neighbours, or find the image that it was drawn for'
    report.add('masks of another size than their image', sizes, remedy)


def _report_values(
    report: Report,
    masks: dict[str, dict[int, int]],
    allowed: tuple[set[int], set[int]],
    num_classes: int,
    reduce_zero_label: bool,
) -> None:
    classes, ignored = allowed
    known = classes | ignored
    wrong = {path: sorted(set(pixels) - known) for path, pixels in masks.items()}
    in_masks = Counter(value for values in wrong.values() for value in values)
    if in_masks:
        listed = ', '.join(f'{value} in {counted(number, "mask")}' for value, number in sorted(in_masks.items()))
        report.add(
            f'masks with a value that is neither a class ({min(classes)} to {max(classes)}) nor ignored '
            f'({", ".join(map(str, sorted(ignored)))}), {listed}',
            [f'{path} ({", ".join(map(str, values))})' for path, values in wrong.items() if values],
            _remedy_of_values(num_classes, reduce_zero_label),
        )
    empty = [path for path, pixels in masks.items() if set(pixels) <= ignored]
    report.add('masks in which every pixel is ignored', empty, 'they teach nothing', is_note=True)
    total = Counter()
    for pixels in masks.values():
        total.update(pixels)
    absent = [str(value) for value in sorted(classes - set(total))]
    report.add('classes that are in no mask, by their value', absent, is_note=True)
    in_classes = sum(number for value, number in total.items() if value in classes)
    share = 100 * in_classes / max(sum(total.values()), 1)
    read = f'{counted(len(masks), "mask")} read, {counted(len(total), "value")}'
    report.counts.append(f'{read}, {share:.1f} % of the pixels in a class.')


def _remedy_of_values(num_classes: int, reduce_zero_label: bool) -> str:
    if reduce_zero_label:
        return f'raise num_classes (now {num_classes}), or leave reduce_zero_label out if class 0 is a class'
    return (
        f"put dict(type='mim_plugin.IgnoreOtherLabels', num_classes={num_classes}) after LoadAnnotations in both "
        'pipelines of the config if they are to be ignored (--ignore tells check_dataset.py so); else raise '
        'num_classes, or set reduce_zero_label=True if 0 is to be ignored and 1 is the first class'
    )


def _times(size: tuple[int, int]) -> str:
    return f'{size[0]} x {size[1]}'
