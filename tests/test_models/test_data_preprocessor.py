"""Views as they leave the loader become what the algorithm reads."""

import torch

from mim_plugin.models.data_preprocessor import MIMDataPreprocessor


def test_views_are_crop_major_and_normalised():
    crops = [torch.full((2, 3, 4, 4), i, dtype=torch.uint8) for i in (10, 20)]
    out = MIMDataPreprocessor(mean=(10, 10, 10), std=(5, 5, 5))({'inputs': {'global': crops, 'local': crops[:1]}})
    views = out['inputs']
    assert views['global'][:, 0, 0, 0].tolist() == [0, 0, 2, 2] and views['local'].shape == (2, 3, 4, 4)
    assert (views['num_global'], views['num_local']) == (2, 1)
    assert views['mask'] is None and views['mask_index'].numel() == 0


def test_hidden_patches_are_listed_with_their_weight():
    mask = torch.zeros(2, 2, 2, 2, dtype=torch.bool)  # two crops of two images on a 2 x 2 grid
    mask[0, 1, 0, 1] = mask[1, 0, 1, 0] = mask[1, 0, 1, 1] = True
    crops = [torch.zeros(2, 3, 4, 4, dtype=torch.uint8)] * 2
    views = MIMDataPreprocessor()({'inputs': {'global': crops, 'mask': list(mask)}})['inputs']
    assert views['mask'].shape == (4, 2, 2)
    assert views['mask_index'].tolist() == [4 + 1, 8 + 2, 8 + 3]
    assert views['mask_weight'].tolist() == [1, 0.5, 0.5]


def test_images_of_an_evaluation_keep_their_data_samples():
    images = [torch.full((3, 2, 2), 255, dtype=torch.uint8)] * 3
    out = MIMDataPreprocessor(mean=(0, 0, 0), std=(255, 255, 255))({'inputs': images, 'data_samples': ['a']})
    assert torch.equal(out['inputs'], torch.ones(3, 3, 2, 2)) and out['data_samples'] == ['a']
