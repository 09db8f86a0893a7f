"""The solar cells of the quickstart: 2,624 electroluminescence images with a judged probability of a defect.

Data: elpv-dataset (Deitsch et al., "Automatic classification of defective photovoltaic module cells in
electroluminescence images", Solar Energy 2019; CC BY-NC-SA 4.0), read from its package on PyPI.
"""

from importlib import util
from pathlib import Path

import numpy as np
from PIL import Image

from mim_plugin.apis.long_commands.folders import ClassFolders
from mim_plugin.errors import DataError

__all__ = ['CLASS_NAMES', 'held_out', 'prepare_solar_cells', 'read_labels', 'split_summary']

CLASS_NAMES = ('defective', 'functional')
NUM_BLOCKS = 20
HELD_OUT_BLOCKS = (2, 5, 8)
STORED_SIDE = 160  # pixels; a global crop of 40 % of the area is still 101 pixels wide


def _package_folder() -> Path:
    spec = util.find_spec('elpv_dataset')
    if spec is None or spec.origin is None:
        raise DataError('The solar cells are not installed: run `bash tools/setup.sh` or `pip install elpv-dataset`.')
    return Path(spec.origin).parent / 'data'


def read_labels() -> tuple[list[Path], np.ndarray, list[str]]:
    """Reads the list of the package, in its own order.

    Returns:
        Image files; True where the probability of a defect is at least 0.5, shape ``(2624,)``; cell type
        (``mono`` or ``poly``).

    Raises:
        DataError: If the package is missing or its list cannot be read.
    """
    folder = _package_folder()
    try:
        rows = [line.split() for line in (folder / 'labels.csv').read_text(encoding='utf-8').splitlines() if line]
        paths = [folder / row[0] for row in rows]
        defective = np.array([float(row[1]) >= 0.5 for row in rows])
        kinds = [row[2] for row in rows]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f'{folder / "labels.csv"} cannot be read ({error}): reinstall elpv-dataset.') from error
    return paths, defective, kinds


def held_out(count: int) -> np.ndarray:
    """Chooses the test images: blocks of neighbours, the same in every run.

    Cells that were cut from one photographed module stand side by side in the list. A random split would put
    neighbours of one module on both sides and flatter every figure. The first 70 % would leave the test part
    with another share of defects (about half of the first cells are defective, a tenth of the last ones). So
    the list is cut into 20 blocks and the third, sixth and ninth of every ten are held out; at most the
    modules on the twelve borders lie on both sides.

    Args:
        count: Number of images in the list.

    Returns:
        True for a test image, shape ``(count,)``, 30 % of the list.
    """
    block = np.arange(count) * NUM_BLOCKS // max(1, count)
    return np.isin(block % 10, HELD_OUT_BLOCKS)


def split_summary(defective: np.ndarray, test: np.ndarray, kinds: list[str]) -> str:
    """Says in one line how well the two parts agree.

    Args:
        defective: Label of every image, ``(N,)`` bool.
        test: True for a test image, ``(N,)`` bool.
        kinds: Cell type of every image.

    Returns:
        Size, share of defective and share of monocrystalline cells of both parts.
    """
    mono = np.array([kind == 'mono' for kind in kinds])
    parts = []
    for name, chosen in (('training', ~test), ('test', test)):
        parts.append(
            f'{name} {int(chosen.sum())} cells ({100 * defective[chosen].mean():.0f} % defective, '
            f'{100 * mono[chosen].mean():.0f} % monocrystalline)'
        )
    return ', '.join(parts)


def prepare_solar_cells(target: str | Path, side: int = STORED_SIDE, limit: int | None = None) -> ClassFolders:
    """Writes the cells as class folders, scaled down once so that training does not decode 300 x 300 pixels.

    Args:
        target: Folder to write; gets ``{train,val}/{defective,functional}/cell*.png``.
        side: Side of a written image in pixels.
        limit: Take every n-th image so that about this many remain (for trials).

    Returns:
        The class folders.

    Raises:
        DataError: If the package is missing or one of its images cannot be read.
    """
    target = Path(target)
    paths, defective, kinds = read_labels()
    test = held_out(len(paths))
    step = 1 if limit is None else max(1, len(paths) // limit)
    for split in ('train', 'val'):
        for name in CLASS_NAMES:
            (target / split / name).mkdir(parents=True, exist_ok=True)
    for i in range(0, len(paths), step):
        folder = target / ('val' if test[i] else 'train') / CLASS_NAMES[0 if defective[i] else 1]
        try:
            with Image.open(paths[i]) as image:
                small = image.convert('L').resize((side, side), Image.Resampling.LANCZOS)
        except OSError as error:
            raise DataError(f'{paths[i]} cannot be read ({error}): reinstall elpv-dataset.') from error
        small.save(folder / paths[i].name, compress_level=1)
    return ClassFolders(target / 'train', target / 'val', CLASS_NAMES, 'solar cells, defective or functional')
