"""Predictions of hidden patches as pictures."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mim_plugin.apis.predictions import decode_predictions, picture_of_predictions
from mim_plugin.errors import MIMError
from mim_plugin.registry import MODELS
from mim_plugin.testing.images import write_image_folder

BACKBONE = dict(
    type='MIMVisionTransformer',
    arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
    img_size=32,
    patch_size=8,
    mask_token=True,
)
PIPELINE = [
    dict(type='LoadImagePIL'),
    dict(type='TwoResolutionCrop', size=(32, 48), target_size=(16, 24)),
    dict(type='BEiTMasks', patch_size=8, num_masked=6, min_per_block=2),
    dict(type='PackViews'),
]


def beit(tokenizer):
    torch.manual_seed(0)
    return MODELS.build(dict(type='BEiT', backbone=BACKBONE, tokenizer=tokenizer)).eval()


def views_of(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2], mask[1, 3, 3] = True, True
    return model.data_preprocessor({'inputs': {'global': [images], 'local': [], 'mask': [mask]}})['inputs']


@pytest.mark.parametrize('kind', ['MeanColorTokenizer', 'PixelTokenizer'])
def test_only_hidden_patches_are_predicted(kind):
    model = beit(dict(type=kind, patch_size=8))
    views = views_of(model)
    found = decode_predictions(model, views)
    hidden = views['mask'].repeat_interleave(8, 1).repeat_interleave(8, 2).unsqueeze(1).expand(-1, 3, -1, -1)
    assert found.predicted[~hidden].equal(found.decoded[~hidden])
    assert not found.predicted[hidden].equal(found.decoded[hidden])
    assert (found.right is None) == (kind == 'PixelTokenizer')


def test_share_of_right_codes():
    model = beit(dict(type='MeanColorTokenizer', patch_size=8))
    views = views_of(model)
    ids = model.tokenizer(views['target']).patches
    guess = ids.clone()
    guess[0, 0] = (guess[0, 0] + 1) % 512  # half of the hidden patches of the first image
    guess[1, 0] = (guess[1, 0] + 1) % 512  # visible ones do not count
    scores = torch.nn.functional.one_hot(guess, 512).flatten(1, 2).float()
    model.predict_patches = lambda _: scores
    found = decode_predictions(model, views)
    assert found.right.tolist() == [0.5, 1.0]
    assert found.predicted[1].equal(found.decoded[1])


def config(tmp_path, **changes):
    model = dict(type='BEiT', backbone={**BACKBONE, 'img_size': (32, 48)}, tokenizer=dict(
        type='KMeansTokenizer', features=dict(type='PixelFeatures', patch_size=4), vocabulary_size=8))  # fmt: skip
    cfg = dict(model=model, train_dataloader=dict(dataset=dict(type='UnlabelledImages', pipeline=PIPELINE)))
    path = tmp_path / 'beit_oblong.py'
    Config({**cfg, **changes}).dump(path)
    torch.save({'state_dict': MODELS.build(model).state_dict()}, tmp_path / 'last.pth')
    return str(path), str(tmp_path / 'last.pth')


def test_picture_has_a_row_an_image_and_is_reproducible(tmp_path):
    write_image_folder(tmp_path / 'images', per_class=4)
    Image.new('L', (9, 300), 128).save(tmp_path / 'narrow.png')
    paths = [str(tmp_path / 'images'), str(tmp_path / 'narrow.png')]
    config_path, checkpoint = config(tmp_path)
    torch.manual_seed(0)
    figure = picture_of_predictions(config_path, checkpoint, paths, count=3)
    panels = [axes.images[0].get_array() for axes in figure.axes]
    assert len(panels) == 3 * 4
    assert panels[0].shape == (32, 48, 3) and panels[2].shape == panels[3].shape == (16, 24, 3)
    assert (panels[8] == 128).all()  # the last row is the last file
    assert 'beit_oblong, last.pth' in figure.get_suptitle()
    assert '% of hidden codes right' in figure.axes[3].get_title()
    torch.manual_seed(0)
    again = picture_of_predictions(config_path, checkpoint, paths, count=3)
    assert np.array_equal(panels[3], again.axes[3].images[0].get_array())


@pytest.mark.parametrize(
    ('images', 'changes', 'message'),
    [
        ('empty', {}, 'There is no image in'),
        ('gone.jpg', {}, 'gone.jpg cannot be decoded'),
        ('empty/note.txt', {}, 'note.txt cannot be decoded'),
        ('fine', dict(train_dataloader=dict(dataset=dict(pipeline=PIPELINE[:2]))), 'lacks TwoResolutionCrop or BEiT'),
    ],
)
def test_a_mistake_is_one_clear_message(tmp_path, images, changes, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty/note.txt').write_text('no image')
    write_image_folder(tmp_path / 'fine', per_class=1)
    with pytest.raises(MIMError, match=message):
        picture_of_predictions(*config(tmp_path, **changes), [str(tmp_path / images)])
