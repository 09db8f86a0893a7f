"""Any folder of images is a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from mim_plugin.datasets.files import IMAGE_EXTENSIONS, find_images, read_lines
from mim_plugin.datasets.image_dataset import ImageDataset
from mim_plugin.registry import DATASETS

__all__ = ['UnlabelledImages']


@DATASETS.register_module()
class UnlabelledImages(ImageDataset):
    """Images of a folder, without labels; a class-folder layout is fine, its names are ignored.

    Args:
        data_root: Root folder.
        pipeline: Steps, see :class:`~mim_plugin.datasets.image_dataset.ImageDataset`, which
            lists the other arguments, too.
        extensions: Endings of image files, in small letters.
        recursive: Search folders in the folder, too.
        ann_file: Text file with one path a line, relative to the image folder: instead
            of searching. Relative to ``data_root``.
        **kwargs: Arguments of :class:`~mim_plugin.datasets.image_dataset.ImageDataset`.

    Example:
        >>> images = UnlabelledImages('photos', pipeline=[dict(type='LoadImagePIL'), dict(type='PackImage')])
    """

    def __init__(
        self,
        data_root: str = '',
        pipeline: Sequence[dict | Callable] = (),
        *,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        recursive: bool = True,
        **kwargs,
    ) -> None:
        self.extensions = tuple(extensions)
        self.recursive = recursive
        super().__init__(data_root, pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict with ``img_path`` an image."""
        if self.ann_file:
            paths = read_lines(self.ann_file)
        else:
            paths = find_images(self.image_folder, self.extensions, self.recursive)
        return [{'img_path': os.path.join(self.image_folder, path)} for path in paths]
