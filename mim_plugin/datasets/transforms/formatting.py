"""Last step of a pipeline: from PIL images to what the loader ships."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor

from mim_plugin.datasets.transforms.base import Transform
from mim_plugin.registry import TRANSFORMS

__all__ = ['PackImage', 'PackViews', 'image_to_tensor']

_ARRAYS = {'masks': 'mask', 'local_masks': 'local_mask', 'token_ids': 'ids', 'matches': 'match'}


def image_to_tensor(image: Image.Image) -> Tensor:
    """RGB image -> uint8 (3, H, W).

    The result is a view with the channel innermost in memory: the one copy that makes
    it contiguous happens when the loader stacks a batch.
    """
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@TRANSFORMS.register_module()
class PackViews(Transform):
    """Pack the crops and masks of one image.

    The result is ``dict(inputs=dict(global=[uint8 (3, S, S)] * G, local=[uint8 (3, s, s)]
    * L, mask=[bool (h, w)] * G))``; without a step that makes masks there is no ``mask``. Steps
    for a frozen tokenizer add ``target=[uint8 (3, S', S')] * G`` (what it sees) or ``ids=[int (h, w)] * G``
    (what it said); hidden patches of local crops are ``local_mask=[bool (h', w')] * L``, pairs of patches
    ``match=[int (h * w)] * G``. The crops stay uint8: normalisation happens on the device.
    """

    def transform(self, results: dict) -> dict:
        """Pack ``global_crops``, ``local_crops``, ``target_crops`` and the arrays that other steps made of them."""
        inputs = {
            'global': [image_to_tensor(crop) for crop in results['global_crops']],
            'local': [image_to_tensor(crop) for crop in results['local_crops']],
        }
        if 'target_crops' in results:
            inputs['target'] = [image_to_tensor(crop) for crop in results['target_crops']]
        for key, name in _ARRAYS.items():
            if key in results:
                inputs[name] = [torch.from_numpy(array) for array in results[key]]
        return {'inputs': inputs}


@TRANSFORMS.register_module()
class PackImage(Transform):
    """Pack one image for evaluation.

    The result is ``dict(inputs=uint8 (3, H, W), data_samples=BaseDataElement)``. The data
    sample has the field ``gt_label``, an int64 tensor of no dimension (-1 without a label),
    and the meta information ``img_path``, ``sample_idx``, ``ori_shape``, ``img_shape``.
    """

    meta_keys = ('img_path', 'sample_idx', 'ori_shape', 'img_shape')

    def transform(self, results: dict) -> dict:
        """Pack ``img`` and ``gt_label``."""
        sample = BaseDataElement(metainfo={key: results[key] for key in self.meta_keys if key in results})
        sample.gt_label = torch.tensor(results.get('gt_label', -1))
        return {'inputs': image_to_tensor(results['img']), 'data_samples': sample}
