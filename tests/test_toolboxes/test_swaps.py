"""Our backbones under the toolboxes' heads, and their backbones in our configs."""

import copy
import math

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData

from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.run import train
from mim_plugin.errors import ConfigError
from mim_plugin.testing.shrink import shrink
from tests.test_toolboxes.tasks import batch_of, build, loss_of, run_of, small

WIDTH = 32
ARCH = dict(embed_dims=WIDTH, num_layers=4, num_heads=2, feedforward_channels=2 * WIDTH)
VIT = dict(type='mim_plugin.MIMVisionTransformer', arch=ARCH, img_size=64, patch_size=16, out_indices=(0, 1, 2, 3))
SWIN = dict(
    type='mim_plugin.MIMSwinTransformer',
    arch=dict(embed_dims=16, depths=(2, 1, 1, 1), num_heads=(2, 2, 4, 4)),
    window_size=4,
    out_indices=(0, 1, 2, 3),
)
HEADS = {
    'UPerHead': dict(in_index=[0, 1, 2, 3], pool_scales=(1, 2)),
    'SETRUPHead': dict(in_index=3, num_convs=2, up_scale=2, kernel_size=3),
    'FCNHead': dict(in_index=3, num_convs=1),
}


@pytest.mark.parametrize('backbone', [VIT, SWIN], ids=['vit', 'swin'])
@pytest.mark.parametrize('head', HEADS)
def test_heads_of_mmseg(head, backbone):
    pytest.importorskip('mmseg')
    from mmseg.structures import SegDataSample

    widths = [WIDTH] * 4 if backbone is VIT else [16, 32, 64, 128]
    options = HEADS[head]
    in_channels = widths if head == 'UPerHead' else widths[-1]
    decode_head = dict(
        type=head, in_channels=in_channels, channels=16, num_classes=4, norm_cfg=dict(type='BN'), **options
    )
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=decode_head)).train()
    images = torch.randn(2, 3, 64, 64)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(4, (1, 64, 64)))) for _ in images]
    loss = model(images, samples, mode='loss')['decode.loss_ce']
    loss.backward()
    assert math.isfinite(loss)
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    # A task that reads the last map alone has no use for the norms of the others.
    assert all(name.startswith('backbone.norm') for name in missing), missing


RESNET = dict(_delete_=True, depth=18, init_cfg=None)
CHANNELS = [64, 128, 256, 512]


def with_resnet(task, folder):
    """The shrunken config of ours, overridden as a user would: the backbone and what follows from its channels."""
    cfg = small(task, folder)
    override = dict(
        segmentation=dict(
            backbone=dict(type='mmseg.ResNet', out_indices=(0, 1, 2, 3), **RESNET),
            decode_head=dict(in_channels=512),
            auxiliary_head=dict(in_channels=256),
        ),
        detection=dict(
            backbone=dict(type='mmdet.ResNet', out_indices=(0, 1, 2, 3), **RESNET),
            neck=dict(_delete_=True, type='FPN', in_channels=CHANNELS, out_channels=64, num_outs=5),
        ),
        classification=dict(
            backbone=dict(type='mmpretrain.ResNet', **RESNET),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(in_channels=512),
        ),
    )[task]
    cfg.model = Config._merge_a_into_b(override, cfg.model)
    return cfg


@pytest.mark.parametrize('task', ['segmentation', 'detection', 'classification'])
def test_resnet_in_our_configs(task, tmp_path):
    # A ResNet of mmseg or mmdet has no depths for layer decay, which our configs ask for.
    layer_decay = {'optim_wrapper.constructor': 'DefaultOptimWrapperConstructor', 'optim_wrapper.paramwise_cfg': None}
    cfg = run_of(with_resnet(task, tmp_path), tmp_path, cfg_options=layer_decay)
    model, batch = build(cfg), batch_of(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = copy.deepcopy(model.backbone.state_dict())
    loss = loss_of(model, batch)
    wrapper.update_params(loss)
    assert math.isfinite(loss)
    assert type(model.backbone).__module__.split('.')[0] in ('mmseg', 'mmdet', 'mmpretrain')
    assert not torch.equal(model.backbone.layer4[1].bn2.weight, before['layer4.1.bn2.weight'])


def test_our_config_inherited_by_its_address(tmp_path):
    """Also the toolbox's names in it, which mmengine would then look up in this package."""
    pytest.importorskip('mmseg')
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = 'mim_plugin::segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'\n")
    cfg = run_of(shrink(Config.fromfile(mine), tmp_path), tmp_path, validate=False)
    assert type_name(cfg.default_hooks.visualization) == 'SegVisualizationHook'  # of mmseg, and unknown to us
    cfg.experiment_name = tmp_path.name
    train(cfg)
    assert (tmp_path / 'work/iter_2.pth').is_file()


def test_layer_decay_of_a_resnet_names_the_remedy(tmp_path):
    cfg = run_of(with_resnet('segmentation', tmp_path), tmp_path)
    with pytest.raises(ConfigError, match=r"optim_wrapper\.constructor='DefaultOptimWrapperConstructor'"):
        build_optim_wrapper(build(cfg), cfg.optim_wrapper)
