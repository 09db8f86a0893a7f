"""Composed scenes for the segmentation: regions filled with materials of scikit-image's packaged photographs.

They are put together by this program, not photographed: every region shows another place of one of six
materials. Training scenes use the left half of each photograph and validation scenes the right half, so no
pixel is in both. Brightness, contrast and colour cast of every region are changed at random: colour alone
tells some of the classes some of the time, texture tells all of them.
"""

import json
from importlib import util
from pathlib import Path

import numpy as np
from PIL import Image

from mim_plugin.apis.long_commands.folders import SPLITS, SceneFolders, read_scenes
from mim_plugin.errors import DataError
from mim_plugin.visualization.style import class_colors

__all__ = ['MATERIALS', 'compose_scene', 'load_materials', 'prepare_scenes']

# Class name -> file inside scikit-image's wheel. (No file here is downloaded.)
MATERIALS = {
    'brick': 'brick.png',
    'coins': 'coins.png',
    'grass': 'grass.png',
    'gravel': 'gravel.png',
    'print': 'page.png',
    'tissue': 'ihc.png',
}
SIDE = 128  # pixels
ZOOM = (0.6, 1.1)  # scene pixels per pixel of the photograph


def load_materials() -> dict[str, dict[str, np.ndarray]]:
    """Reads the photographs and cuts each into its two halves.

    Returns:
        Split (``training``: left half, ``validation``: right half) -> class -> pixels ``(H, W, 3)`` uint8.

    Raises:
        DataError: If scikit-image is not installed or lacks a photograph.
    """
    spec = util.find_spec('skimage')
    if spec is None or spec.origin is None:
        raise DataError('The photographs are not installed: run `bash tools/setup.sh` or `pip install scikit-image`.')
    folder = Path(spec.origin).parent / 'data'
    halves: dict[str, dict[str, np.ndarray]] = {split: {} for split in SPLITS}
    for name, file in MATERIALS.items():
        try:
            with Image.open(folder / file) as image:
                pixels = np.asarray(image.convert('RGB'))
        except OSError as error:
            raise DataError(f'{folder / file} cannot be read ({error}): install scikit-image 0.22 or newer.') from error
        middle = pixels.shape[1] // 2
        for split, half in zip(SPLITS, (pixels[:, :middle], pixels[:, middle:]), strict=True):
            halves[split][name] = half
    return halves


def _smooth_noise(rng: np.random.Generator, cells: int, side: int) -> np.ndarray:
    """Random field ``(side, side)`` in about -1..1 that changes over ``side / cells`` pixels."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def _regions(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Cuts a square into ``count`` regions with curved borders: nearest of random points, coordinates bent."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    rows = rows + 0.12 * side * _smooth_noise(rng, 5, side)
    columns = columns + 0.12 * side * _smooth_noise(rng, 5, side)
    points = rng.uniform(0, side, (count, 2))
    distance = (rows - points[:, 0, None, None]) ** 2 + (columns - points[:, 1, None, None]) ** 2
    return distance.argmin(axis=0)


def _place(rng: np.random.Generator, material: np.ndarray, side: int) -> np.ndarray:
    """A random square of a material at a random zoom, mirrored at random, ``(side, side, 3)`` uint8."""
    window = min(int(round(side / rng.uniform(*ZOOM))), *material.shape[:2])
    top = int(rng.integers(0, material.shape[0] - window + 1))
    left = int(rng.integers(0, material.shape[1] - window + 1))
    piece = Image.fromarray(material[top : top + window, left : left + window])
    pixels = np.asarray(piece.resize((side, side), Image.Resampling.BICUBIC))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _relight(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Changes contrast, brightness and colour cast at random, ``(side, side, 3)`` float64."""
    mean = pixels.mean()
    return (rng.uniform(0.6, 1.4) * (pixels - mean) + mean + rng.uniform(-40, 40)) * rng.uniform(0.8, 1.2, 3)


def compose_scene(
    rng: np.random.Generator, materials: dict[str, np.ndarray], side: int = SIDE
) -> tuple[np.ndarray, np.ndarray]:
    """Composes one scene of three to six regions; a material may occur twice.

    Args:
        rng: Source of every random choice.
        materials: Class -> pixels, from :func:`load_materials`.
        side: Height and width in pixels.

    Returns:
        Pixels ``(side, side, 3)`` uint8 and the class of every pixel ``(side, side)`` uint8.
    """
    names = list(materials)
    regions = _regions(rng, int(rng.integers(3, 7)), side)
    classes = rng.permutation(len(names))
    image = np.zeros((side, side, 3), dtype=np.float64)
    labels = np.zeros((side, side), dtype=np.uint8)
    for region in range(int(regions.max()) + 1):
        label = int(classes[region % len(classes)])
        inside = regions == region
        image[inside] = _relight(rng, _place(rng, materials[names[label]], side))[inside]
        labels[inside] = label
    image += rng.normal(0, 3, image.shape)
    return np.clip(image, 0, 255).round().astype(np.uint8), labels


def prepare_scenes(
    target: str | Path, num_train: int = 160, num_val: int = 48, seed: int = 0, side: int = SIDE
) -> SceneFolders:
    """Writes scenes and masks in the ADE20K layout, with ``classes.json``.

    Args:
        target: Folder to write.
        num_train: Scenes of the left halves.
        num_val: Scenes of the right halves.
        seed: Equal seeds give equal scenes.
        side: Height and width in pixels.

    Returns:
        The folders.
    """
    target = Path(target)
    materials = load_materials()
    for part, (split, count) in enumerate(zip(SPLITS, (num_train, num_val), strict=True)):
        for kind in ('images', 'annotations'):
            (target / kind / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image, labels = compose_scene(np.random.default_rng([seed, part, i]), materials[split], side)
            Image.fromarray(image).save(target / 'images' / split / f'scene{i:04d}.png', compress_level=1)
            Image.fromarray(labels).save(target / 'annotations' / split / f'scene{i:04d}.png')
    content = {'classes': list(MATERIALS), 'palette_rgb': class_colors(len(MATERIALS))}
    (target / 'classes.json').write_text(json.dumps(content, indent=1), encoding='utf-8')
    return read_scenes(target, composed=True)
