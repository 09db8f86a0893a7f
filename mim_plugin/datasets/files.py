"""Finding image files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from mim_plugin.errors import DataError

__all__ = ['IMAGE_EXTENSIONS', 'class_folders', 'find_images', 'read_lines']

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.webp', '.gif')


def find_images(
    folder: str,
    extensions: Collection[str] = IMAGE_EXTENSIONS,
    recursive: bool = True,
) -> list[str]:
    """Image files below a folder, sorted.

    Hidden files and folders (names with a leading dot) are left out; links are followed,
    but no folder is entered twice.

    Args:
        folder: Folder to search.
        extensions: Endings of file names, in small letters, with the dot.
        recursive: Search folders in the folder, too.

    Returns:
        Paths relative to ``folder``, with ``/`` between their parts.

    Raises:
        DataError: The folder is missing.
    """
    if not os.path.isdir(folder):
        what = 'is a file, not a folder' if os.path.exists(folder) else 'does not exist'
        raise DataError(f'Image folder {folder} {what}; set data_root (and data_prefix) of the data set.')
    endings = tuple(extensions)
    found = [path for path in _walk(folder, '', recursive, set()) if path.lower().endswith(endings)]
    return sorted(found)


def _walk(root: str, inner: str, recursive: bool, visited: set[str]) -> Iterator[str]:
    visited.add(os.path.realpath(os.path.join(root, inner)))
    with os.scandir(os.path.join(root, inner)) as entries:
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            path = f'{inner}/{entry.name}' if inner else entry.name
            if not entry.is_dir():
                yield path
            elif recursive and os.path.realpath(entry.path) not in visited:
                yield from _walk(root, path, recursive, visited)


def class_folders(folder: str) -> list[str]:
    """Names of the folders in a folder, sorted; their position is the class index."""
    if not os.path.isdir(folder):
        raise DataError(f'Image folder {folder} does not exist; set data_root (and data_prefix) of the data set.')
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith('.'))


def read_lines(path: str) -> list[str]:
    """Lines of a text file that are not blank, without surrounding white space."""
    try:
        with open(path, encoding='utf-8') as file:
            return [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'List of images {path} cannot be read ({error}); set ann_file of the data set.') from error
