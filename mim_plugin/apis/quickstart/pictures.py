"""The pictures of the quickstart, from what its steps left behind."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.long_commands.folders import ImageData
from mim_plugin.datasets.files import find_images
from mim_plugin.datasets.transforms import CenterCrop, LoadImagePIL, ResizeShortSide
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor
from mim_plugin.registry import DATASETS
from mim_plugin.visualization import draw_attention, draw_curves, draw_views, read_scalars

__all__ = ['attention_picture', 'curves_picture', 'views_picture']

ATTENTION_SIDE = 256  # pixels; 16 x 16 patches
ATTENTION_IMAGES = 4
SAMPLES = 50


def _pixels(tensor: torch.Tensor) -> np.ndarray:
    return tensor.permute(1, 2, 0).numpy()


def views_picture(cfg: Config, images: Path, seed: int) -> Figure:
    """Draws crops and masks of one image, made by the pipeline of the pretraining config.

    Args:
        cfg: Pretraining config.
        images: Folder of the images.
        seed: Which image, and its crops.

    Returns:
        The figure.
    """
    dataset = DATASETS.build({**cfg.train_dataloader.dataset, 'data_root': str(images), 'seed': seed})
    dataset.set_epoch(0)
    # Half of all crops hide nothing, which would be a poor picture of hiding: look for an image that shows it.
    for index in np.random.default_rng(seed).permutation(len(dataset))[:SAMPLES].tolist():
        views = dataset[index]['inputs']
        if all(mask.any() for mask in views['mask']):
            break
    image = np.asarray(LoadImagePIL().load(dataset.get_data_info(index)['img_path']))
    crops, local = ([_pixels(crop) for crop in views[kind]] for kind in ('global', 'local'))
    tokenizer = 'teacher' if type_name(cfg.model) == 'IBOT' else 'tokenizer'
    return draw_views(image, crops, [mask.numpy() for mask in views['mask']], local, tokenizer)


def _attention_paths(data: ImageData) -> list[tuple[Path, str]]:
    """Images to look at, with their class: test images where there are classes, else images of the folder."""
    roots = [(data.images, '')]
    if data.classes is not None:
        roots = [(data.classes.val / name, name) for name in data.classes.names[:ATTENTION_IMAGES]]
    paths = []
    for k, (root, name) in enumerate(roots):
        found = find_images(str(root))
        share = len(range(k, ATTENTION_IMAGES, len(roots)))
        places = ((2 * i + 1) * len(found) // (2 * share) for i in range(min(share, len(found))))
        paths += [(root / found[place], name) for place in places]
    return paths


def attention_picture(model: FeatureExtractor, data: ImageData, title: str, of_cls: bool = True) -> Figure:
    """Draws the last block's self-attention of [CLS], or of the patch in the middle, for a few images.

    Args:
        model: Features of the trained teacher.
        data: Where the images are.
        title: Text above.
        of_cls: False for a method that trains no [CLS].

    Returns:
        The figure.
    """
    resize, crop = ResizeShortSide(ATTENTION_SIDE), CenterCrop(ATTENTION_SIDE)
    images, names = [], []
    for path, name in _attention_paths(data):
        results = crop(resize({'img': LoadImagePIL().load(str(path))}))
        images.append(np.array(results['img']))
        names.append(f'{name}\n{path.stem}' if name else path.stem)
    batch = pseudo_collate([{'inputs': torch.from_numpy(image).permute(2, 0, 1)} for image in images])
    backbone = model.backbone
    with torch.no_grad():
        inputs = model.eval().data_preprocessor(batch, False)['inputs']
        rows, columns = grid = backbone.grid_size(ATTENTION_SIDE, ATTENTION_SIDE)
        query = 0 if of_cls else backbone.num_prefix_tokens + rows // 2 * columns + columns // 2
        weights = backbone.attention_maps(inputs, (-1,))[0][:, :, query, backbone.num_prefix_tokens :]
    maps = weights.unflatten(-1, grid).float().cpu().numpy()
    return draw_attention(images, list(maps), names=names, title=title)


def curves_picture(folder: Path) -> Figure:
    """Draws losses and effective rank of the pretraining.

    Args:
        folder: Work folder of the pretraining.

    Returns:
        The figure.
    """
    scalars = read_scalars(folder)
    names = {'loss_cls': '[CLS] across views', 'loss_patch': 'hidden patches', 'loss_mim': 'hidden patches'}
    panels = {'loss (nats)': {label: scalars[key] for key, label in names.items() if key in scalars}}
    if 'effective_rank' in scalars:
        panels['effective rank of features'] = {'effective rank': scalars['effective_rank']}
    return draw_curves(panels)
