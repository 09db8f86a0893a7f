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


def test_hidden_patches_of_local_crops_are_listed_apart():
    mask = torch.zeros(2, 1, 1, 3, dtype=torch.bool)  # two crops of one image on a 1 x 3 grid
    mask[1, 0, 0, 2] = True
    crops = [torch.zeros(1, 3, 2, 6, dtype=torch.uint8)] * 2
    data = {'inputs': {'global': crops, 'local': crops, 'local_mask': list(mask)}}
    views = MIMDataPreprocessor()(data)['inputs']
    assert views['mask'] is None and views['mask_index'].numel() == 0
    assert views['local_mask'].shape == (2, 1, 3)
    assert (views['local_mask_index'].tolist(), views['local_mask_weight'].tolist()) == ([3 + 2], [1])


def test_pairs_of_patches_are_listed_with_their_weight():
    partner = torch.tensor([[[1, -1], [0, 1]], [[-1, -1], [-1, 0]]])  # two crops of two images of two patches
    crops = [torch.zeros(2, 3, 4, 4, dtype=torch.uint8)] * 2
    views = MIMDataPreprocessor()({'inputs': {'global': crops, 'match': list(partner)}})['inputs']
    assert views['match_index'].tolist() == [0, 2, 3, 7]
    assert views['match_partner'].tolist() == [4 + 1, 6 + 0, 6 + 1, 2 + 0]
    assert views['match_weight'].tolist() == [1, 0.5, 0.5, 1]


def test_images_of_an_evaluation_keep_their_data_samples():
    images = [torch.full((3, 2, 2), 255, dtype=torch.uint8)] * 3
    out = MIMDataPreprocessor(mean=(0, 0, 0), std=(255, 255, 255))({'inputs': images, 'data_samples': ['a']})
    assert torch.equal(out['inputs'], torch.ones(3, 3, 2, 2)) and out['data_samples'] == ['a']
