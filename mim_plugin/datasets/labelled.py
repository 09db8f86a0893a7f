"""Images with one class each, for evaluating frozen features."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from mim_plugin.datasets.files import IMAGE_EXTENSIONS, class_folders, find_images, read_lines
from mim_plugin.datasets.image_dataset import ImageDataset
from mim_plugin.errors import DataError
from mim_plugin.registry import DATASETS

__all__ = ['ImageFolderLabels']


@DATASETS.register_module()
class ImageFolderLabels(ImageDataset):
    """Images with class labels.

    The label of an image is the position of its class folder in the sorted list of
    folders (ImageNet's layout ``CLASS/IMAGE``; deeper folders belong to their class).
    With ``ann_file``, each line holds a path and a class index instead.

    Scores should be those of the whole set, so no damaged image is tolerated by default.

    Args:
        data_root: Root folder.
        pipeline: Steps, see :class:`~mim_plugin.datasets.image_dataset.ImageDataset`, which
            lists the other arguments, too.
        extensions: Endings of image files, in small letters.
        classes: Class folders in the order of their indices; None: all, sorted.
        max_broken: Share of undecodable images that is tolerated; a tolerated one is
            replaced by the next image and its label.
        **kwargs: Arguments of :class:`~mim_plugin.datasets.image_dataset.ImageDataset`.
    """

    def __init__(
        self,
        data_root: str = '',
        pipeline: Sequence[dict | Callable] = (),
        *,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        classes: Sequence[str] | None = None,
        max_broken: float = 0.0,
        **kwargs,
    ) -> None:
        self.extensions = tuple(extensions)
        self.classes = None if classes is None else list(classes)
        super().__init__(data_root, pipeline, max_broken=max_broken, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict with ``img_path`` and ``gt_label`` an image."""
        if self.ann_file:
            return [self._parse(line) for line in read_lines(self.ann_file)]
        classes = self.classes if self.classes is not None else class_folders(self.image_folder)
        self._metainfo['classes'] = tuple(classes)
        return [
            {'img_path': os.path.join(self.image_folder, name, path), 'gt_label': label}
            for label, name in enumerate(classes)
            for path in find_images(os.path.join(self.image_folder, name), self.extensions)
        ]

    def _parse(self, line: str) -> dict:
        path, _, label = line.rpartition(' ')
        if not path or not label.isdigit():
            raise DataError(
                f"Line '{line}' of {self.ann_file} is not a path and a class index; write for example 'cat/a.jpg 0'."
            )
        return {'img_path': os.path.join(self.image_folder, path.strip()), 'gt_label': int(label)}
