"""Official BEiT files: read by every model that can use them, and written again as they were."""

import argparse
from pathlib import Path

import pytest
import torch

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.contents import network_of
from mim_plugin.checkpoints.formats import beit
from mim_plugin.errors import CheckpointError
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden import load_case

GOLDEN = Path(__file__).parents[1] / 'golden'
PRETRAINED = ('beit_mim_abs', 'beit_mim_shared_rel', 'beit_mim_block_rel_rect')
FINE_TUNED = ('beit_finetune_cls_shared', 'beit_finetune_mean_blockrel')
BACKBONE = dict(
    type='MIMVisionTransformer',
    arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128),
    img_size=32,
    patch_size=8,
    pos_embed=None,
    qkv_bias='qv',
    layer_scale=0.1,
)


def official(name):
    """State dict under official names, made by the official code."""
    case = load_case(GOLDEN / name)
    return case.weights['model'], tuple(case.settings['grid'])


@pytest.fixture
def pretrained_file(tmp_path):
    state, _ = official('beit_mim_shared_rel')
    path = tmp_path / 'checkpoint-799.pth'
    torch.save({'model': state, 'epoch': 799, 'args': argparse.Namespace(model='beit_base')}, path)
    return str(path)


def classifier(**backbone):
    backbone = {**BACKBONE, 'relative_bias': 'per_block', 'mean_pooling': True, 'init': 'beit_finetune', **backbone}
    return MODELS.build(dict(type='MIMClassifier', num_classes=5, backbone=backbone))


@pytest.mark.parametrize('name', PRETRAINED + FINE_TUNED)
def test_there_and_back(name):
    state, grid = official(name)
    again = beit.to_official(network_of(state)[0], grid)['model']
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], value) for key, value in state.items())


def test_index_of_a_square_grid_needs_no_grid():
    state, _ = official('beit_mim_shared_rel')
    again = beit.to_official(network_of(state)[0])['model']
    assert torch.equal(again['rel_pos_bias.relative_position_index'], state['rel_pos_bias.relative_position_index'])
    with pytest.raises(CheckpointError, match=r'of 52 rows does not belong to a grid of \(3, 5\)'):
        beit.to_official(network_of(state)[0], (3, 5))


def test_segmentation_files_split_into_backbone_and_neck():
    state = load_case(GOLDEN / 'beit_seg_p16_blockrel').weights['backbone']
    state = {f'backbone.{name}': value for name, value in state.items()} | {'decode_head.conv_seg.bias': torch.ones(3)}
    converted = network_of(state)[0]
    assert {'backbone.layers.3.attn.relative_position_bias_table', 'neck.levels.0.3.weight'} <= converted.keys()
    assert {'neck.levels.1.0.bias', 'decode_head.conv_seg.bias'} <= converted.keys()
    assert len(converted) == len([name for name in state if not name.endswith('relative_position_index')])
    assert {name.split('.')[0] for name in converted} == {'backbone', 'neck', 'decode_head'}


class Codes(FrozenTokenizer):
    """Any tokenizer of so many codes."""

    def __init__(self, vocabulary_size):
        super().__init__()
        self.vocabulary_size = vocabulary_size

    def grid_size(self, image_size):
        raise NotImplementedError

    def encode(self, images):
        raise NotImplementedError


def pretraining(checkpoint, codes):
    return MODELS.build(
        dict(
            type='BEiT',
            backbone={**BACKBONE, 'relative_bias': 'shared', 'mask_token': True},
            tokenizer=dict(type=Codes, vocabulary_size=codes),
            init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
        )
    )


def test_pretraining_goes_on_from_an_official_file(pretrained_file):
    model = pretraining(pretrained_file, 48)
    model.init_weights()
    state, _ = official('beit_mim_shared_rel')
    again = beit.to_official(model.state_dict())['model']
    assert all(torch.equal(again[name], value) for name, value in state.items())
    with pytest.raises(CheckpointError, match=r'head.linear.weight \(file \(48, 32\), model \(8, 32\)\)'):
        pretraining(pretrained_file, 8).init_weights()


def test_fine_tuning_starts_from_pretraining(pretrained_file):
    state, _ = official('beit_mim_shared_rel')
    model = classifier(init_cfg=dict(type='Pretrained', checkpoint=pretrained_file))
    model.init_weights()
    for block in model.backbone.layers:
        table = block.attn.relative_position_bias_table
        assert torch.equal(table, state['rel_pos_bias.relative_position_bias_table'])
    assert torch.equal(model.backbone.layers[1].attn.gamma1.weight, state['blocks.1.gamma_1'])
    # A table a block: what one learns leaves the others alone.
    tables = {block.attn.relative_position_bias_table.data_ptr() for block in model.backbone.layers}
    assert len(tables) == len(model.backbone.layers)


def test_a_fine_tuned_file_fills_the_whole_classifier(tmp_path):
    case = load_case(GOLDEN / 'beit_finetune_mean_blockrel')
    torch.save({'module': case.weights['model']}, tmp_path / 'finetuned.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'finetuned.pth'))
    backbone = {**BACKBONE, 'relative_bias': 'per_block', 'mean_pooling': True}
    model = MODELS.build(dict(type='MIMClassifier', num_classes=10, backbone=backbone, init_cfg=init_cfg))
    model.init_weights()
    again = beit.to_official(model.state_dict())['model']
    assert all(torch.equal(again[name], value) for name, value in case.weights['model'].items())


def test_a_classifier_named_like_it_is_read_too():
    """DeiT's and iBOT's fine-tuned files: a bias for queries, keys and values, and ``head``."""
    source = classifier(qkv_bias='qkv', relative_bias=None, pos_embed='absolute', layer_scale=0.0, mean_pooling=False)
    state = beit.to_official(source.state_dict())
    assert 'blocks.0.attn.qkv.bias' in state['model'] and 'head.weight' in state['model']
    target = classifier(qkv_bias='qkv', relative_bias=None, pos_embed='absolute', layer_scale=0.0, mean_pooling=False)
    load_pretrained(target, state)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())
    load_pretrained(target.backbone, state)  # whose layer of classes is none of its business
