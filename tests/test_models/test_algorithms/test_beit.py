"""BEiT with any frozen tokenizer: what enters the loss, what is frozen, and what is refused."""

import pytest
import torch

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS

ARCH = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)
BACKBONE = dict(type='MIMVisionTransformer', arch=ARCH, img_size=32, patch_size=8, mask_token=True)
TOKENIZER = dict(type='MeanColorTokenizer', patch_size=8)


def beit(tokenizer=None, **changes):
    return MODELS.build(dict(type='BEiT', backbone=BACKBONE, tokenizer=tokenizer or TOKENIZER) | changes)


def batch(size=(32, 32), hidden=((0, 1), (3,)), target=None):
    images = torch.randint(0, 256, (len(hidden), 3, *size), dtype=torch.uint8)
    grid = size[0] // 8, size[1] // 8
    mask = torch.zeros(len(hidden), grid[0] * grid[1], dtype=torch.bool)
    for row, cells in zip(mask, hidden):
        row[list(cells)] = True
    views = {'global': [images], 'local': [], 'mask': [mask.unflatten(1, grid)]}
    if target is not None:
        views['target'] = [target]
    return {'inputs': views}


def run(model, data):
    views = model.data_preprocessor(data, True)['inputs']
    return views, model(views, mode='loss')


def test_loss_is_the_mean_cross_entropy_over_hidden_patches_of_the_batch():
    model = beit().train()
    views, losses = run(model, batch())
    scores = model.head.linear(model.backbone.forward_tokens(views['global'], views['mask'])[:, 1:]).flatten(0, 1)
    ids = model.tokenizer(views['target']).patches.flatten()
    picked = [0, 1, 16 + 3]
    expected = torch.nn.functional.cross_entropy(scores[picked], ids[picked])
    assert losses['loss_mim'].item() == pytest.approx(expected.item(), rel=1e-6)
    right = (scores[picked].argmax(1) == ids[picked]).float().mean() * 100
    assert losses['mim_acc'].item() == pytest.approx(right.item(), rel=1e-6)


def test_all_patches_can_be_predicted():
    model = beit(predict='all').train()
    views, losses = run(model, batch())
    scores = model.predict_patches(views).flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(scores, model.tokenizer(views['target']).patches.flatten())
    assert losses['loss_mim'].item() == pytest.approx(expected.item(), rel=1e-6)


def test_non_square_images():
    _, losses = run(beit(), batch(size=(32, 48)))
    assert losses['loss_mim'].isfinite()


def test_nothing_hidden_is_a_loss_of_zero_with_zero_gradient():
    model = beit()
    _, losses = run(model, batch(hidden=((), ())))
    losses['loss_mim'].backward()
    assert losses['loss_mim'].item() == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_tokenizer_sees_its_own_view_with_values_up_to_one():
    target = torch.full((2, 3, 32, 32), 255, dtype=torch.uint8)
    views, _ = run(beit(), batch(target=target))
    assert views['target'].equal(torch.ones(2, 3, 32, 32))


class Weighted(FrozenTokenizer):
    """A tokenizer with weights."""

    vocabulary_size = 5

    def __init__(self, checkpoint=None):
        super().__init__(checkpoint)
        self.conv = torch.nn.Conv2d(3, 5, 8, 8)
        self.norm = torch.nn.BatchNorm2d(5)

    def grid_size(self, image_size):
        return image_size[0] // 8, image_size[1] // 8

    def encode(self, images):
        return self.norm(self.conv(images)).argmax(1)

    def load_checkpoint(self, checkpoint):
        self.conv.bias.data.fill_(float(checkpoint))


def test_frozen_means_not_trained_not_saved_not_sent():
    model = beit(dict(type=Weighted, checkpoint='3')).train()
    with pytest.raises(ConfigError, match='has not read 3 yet'):
        run(model, batch())
    model.init_weights()
    assert (model.tokenizer.conv.bias == 3).all()
    assert not model.tokenizer.training and not model.tokenizer.norm.training
    assert not any(p.requires_grad for p in model.tokenizer.parameters())
    state = model.state_dict()
    assert state and not any(name.startswith('tokenizer') for name in state)
    assert 'conv.weight' in model.tokenizer.full_state_dict()
    model.load_state_dict(state, strict=True)
    assert {'tokenizer.conv.weight', 'tokenizer.norm.running_mean'} <= set(model._ddp_params_and_buffers_to_ignore)
    assert not any(name.startswith(('backbone', 'head')) for name in model._ddp_params_and_buffers_to_ignore)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert model.tokenizer(torch.rand(1, 3, 32, 32)).patches.shape == (1, 4, 4)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(head=dict(vocabulary_size=7)), 'scores 7 codes but MeanColorTokenizer has 512'),
        (dict(head=dict(type='PatchRegressionHead', value_dims=3)), 'gives ids, not values'),
        (dict(predict='some'), "predict='some'"),
        (dict(tokenizer=dict(type='MIMVisionTransformer', arch=ARCH)), 'not a frozen tokenizer'),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        beit(**changes)


def test_a_checkpoint_of_another_vocabulary_is_refused(tmp_path):
    file = tmp_path / 'beit.pth'
    torch.save({'state_dict': beit(dict(type='MeanColorTokenizer', patch_size=8, bits=2)).state_dict()}, file)
    with pytest.raises(CheckpointError, match=r'beit\.pth.*another vocabulary: set model.tokenizer'):
        beit(init_cfg=dict(type='Pretrained', checkpoint=str(file))).init_weights()
    start = dict(type='Pretrained', checkpoint=str(file))
    model = MODELS.build(dict(type='BEiT', backbone=dict(BACKBONE, init_cfg=start), tokenizer=TOKENIZER))
    model.init_weights()
    assert model.backbone.cls_token.equal(torch.load(file)['state_dict']['backbone.cls_token'])


def test_another_grid_is_refused_at_the_first_batch():
    target = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(ConfigError, match=r'grid of \(2, 2\) targets.*\(4, 4\); set target_size'):
        run(beit(), batch(target=target))
    without = {'inputs': {'global': [torch.zeros(1, 3, 32, 32, dtype=torch.uint8)], 'local': []}}
    with pytest.raises(ConfigError, match='add BEiTMasks'):
        run(beit(), without)
