"""From a file to an upright RGB image of 8 bits."""

from __future__ import annotations

import errno

import numpy as np
from PIL import Image, UnidentifiedImageError

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.errors import DataError
from mim_plugin.registry import TRANSFORMS

__all__ = ['LoadImagePIL', 'UndecodableImageError', 'to_rgb8']

# Trouble of the machine, not of the file: the run must stop, the image is not to blame.
_SYSTEM_ERRORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UndecodableImageError(DataError):
    """One image file cannot be read or decoded."""


def to_rgb8(image: Image.Image, white: float | None = None) -> Image.Image:
    """Convert an image of any mode to 8-bit RGB.

    Transparency is dropped (as torchvision's loader does), grey images get three equal
    channels, CMYK and palettes are converted. More than 8 bits are scaled, not clipped.

    Args:
        image: Image of any mode of Pillow.
        white: Value shown as white in modes of more than 8 bits. None: 65535 for integers, 1 for floats.

    Returns:
        Image of mode RGB.
    """
    if image.mode.startswith('I') or image.mode == 'F':
        white = white or (1.0 if image.mode == 'F' else 65535.0)
        values = np.nan_to_num(np.asarray(image, dtype=np.float32)) * (255.0 / white)
        image = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.mode == 'P' and 'transparency' in image.info:
        image = image.convert('RGBA')  # Pillow warns of the direct way; the colours are the same
    return image if image.mode == 'RGB' else image.convert('RGB')


@TRANSFORMS.register_module()
class LoadImagePIL(Transform):
    """Decode ``img_path`` with Pillow into ``img``, an 8-bit RGB image.

    The first frame of an animation is taken. Files over Pillow's limit of pixels
    (decompression bombs) are refused like damaged ones.

    Args:
        upright: Turn the image as its EXIF orientation says. The published iBOT and BEiT
            ignore the orientation: False repeats them.
        draft: Size in pixels. A JPEG is decoded at 1/2, 1/4 or 1/8 of its size as long
            as both sides stay at least this long. Faster for large photographs, but it
            **changes pixels**, and crops of small area are enlarged from fewer pixels.
            None decodes in full.
        white: Value shown as white in images of more than 8 bits a channel, for example
            4095 for 12-bit data. None: 65535 for integers, 1 for floats.

    Raises:
        UndecodableImageError: The file is missing, damaged or no image.
    """

    def __init__(self, upright: bool = True, draft: int | None = None, white: float | None = None) -> None:
        self.upright = upright
        self.draft = draft
        self.white = white

    def transform(self, results: dict) -> dict:
        """Add ``img`` (PIL, RGB), ``ori_shape`` and ``img_shape`` (rows, columns)."""
        image = self.load(results['img_path'])
        results['img'] = image
        results['ori_shape'] = results['img_shape'] = (image.height, image.width)
        return results

    def load(self, path: str) -> Image.Image:
        """Decode one file to an RGB image."""
        try:
            with Image.open(path) as image:
                return self._decode(image)
        except MemoryError:
            raise
        except Exception as error:  # damaged files make Pillow's plug-ins raise nearly anything
            if getattr(error, 'errno', None) in _SYSTEM_ERRORS:
                raise
            unknown = isinstance(error, UnidentifiedImageError)
            reason = 'no known image format' if unknown else str(error) or type(error).__name__
            raise UndecodableImageError(f'Image {path} cannot be decoded ({reason}); remove or replace it.') from error

    def _decode(self, image: Image.Image) -> Image.Image:
        if self.draft is not None:  # formats other than JPEG ignore it
            image.draft(None, (self.draft, self.draft))
        image.load()
        turn = _TURNS.get(_orientation(image)) if self.upright else None
        decoded = to_rgb8(image, self.white)
        return decoded if turn is None else decoded.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block does not make the picture useless
        return 1
