"""The COCO configs against what iBOT's paper and its published command and files say."""

import functools
from pathlib import Path

import pytest
from mmengine.config import Config

from mim_plugin.apis.config_tree import type_name

pytest.importorskip('mmdet')
FOLDER = Path(__file__).parents[2] / 'configs' / 'detection'

# lr share from block to block (None: the same everywhere), drop path, images a GPU, size that fixes the positions
CASCADE = {
    'ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco': (0.8, 0.1, 4, (800, 1008)),
    'ibot_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco': (0.75, 0.2, 2, (672, 1088)),
    'beit_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco': (0.75, 0.2, 2, (672, 1088)),
    'ibot_swin-tiny-w7_cascade-mask-rcnn_8xb2-1x_coco': (None, 0.2, 2, (800, 1333)),
}
PLAIN = {'ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco': (0.8, 0.1, 4, (800, 1008))}
ALL = {**CASCADE, **PLAIN}
SIDES = list(range(480, 801, 32))


@functools.cache
def read(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


def test_every_config_is_compared():
    assert {path.stem for path in FOLDER.glob('*.py')} == set(ALL)


@pytest.mark.parametrize('name', ALL)
def test_optimisation(name):
    cfg, (decay, drop_path, batch, size) = read(name), ALL[name]
    assert cfg.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    assert 'clip_grad' not in cfg.optim_wrapper
    if decay is not None:
        assert cfg.optim_wrapper.paramwise_cfg == dict(layer_decay_rate=decay, originals=True)
    warmup, steps = cfg.param_scheduler
    assert (warmup.type, warmup.start_factor, warmup.end, warmup.by_epoch) == ('LinearLR', 0.001, 500, False)
    assert (steps.type, steps.milestones, steps.gamma, steps.by_epoch) == ('MultiStepLR', [8, 11], 0.1, True)
    assert cfg.train_cfg.max_epochs == 12
    assert cfg.train_dataloader.batch_size == batch and cfg.auto_scale_lr.base_batch_size == 8 * batch
    assert cfg.model.backbone.drop_path_rate == drop_path and cfg.model.backbone.img_size == size


@pytest.mark.parametrize('name', ALL)
def test_images(name):
    cfg = read(name)
    pipeline = {type_name(step): step for step in cfg.train_dataloader.dataset.pipeline}
    assert pipeline['RandomFlip'].prob == 0.5
    (plain,), (first, crop, second) = pipeline['RandomChoice'].transforms
    for step, sides in ((plain, SIDES), (first, [400, 500, 600]), (second, SIDES)):
        assert step.scales == [(side, 1333) for side in sides] and step.keep_ratio
    assert crop == dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        resize = {type_name(step): step for step in loader.dataset.pipeline}['Resize']
        assert resize.scale == (1333, 800) and resize.keep_ratio
    prepared = cfg.model.data_preprocessor
    assert prepared.pad_size_divisor == 32 and prepared.bgr_to_rgb and prepared.pad_mask
    assert (prepared.mean, prepared.std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert cfg.val_evaluator.metric == ['bbox', 'segm']


@pytest.mark.parametrize('name', ALL)
def test_backbone_and_necks(name):
    backbone, neck = read(name).model.backbone, read(name).model.neck
    if 'swin' in name:
        assert neck == dict(type='FPN', in_channels=[96, 192, 384, 768], out_channels=256, num_outs=5)
        return
    width = {'small': 384, 'base': 768}[backbone.arch]
    assert backbone.out_indices == (3, 5, 7, 11) and backbone.final_norm == 'none'
    assert neck[0] == dict(type='mim_plugin.FeaturePyramid', in_channels=width)
    assert neck[1] == dict(type='FPN', in_channels=[width] * 4, out_channels=256, num_outs=5)
    if name.startswith('ibot'):
        assert backbone.pos_interpolation == 'ibot' and 'relative_bias' not in backbone
    else:
        assert backbone.relative_bias == 'per_block' and backbone.pos_embed is None and backbone.layer_scale == 0.1


@pytest.mark.parametrize('name', ALL)
def test_proposals_and_results(name):
    model = read(name).model
    anchors, rpn = model.rpn_head.anchor_generator, model.train_cfg.rpn
    assert (anchors.scales, anchors.ratios, anchors.strides) == ([8], [0.5, 1.0, 2.0], [4, 8, 16, 32, 64])
    assert (rpn.assigner.pos_iou_thr, rpn.assigner.neg_iou_thr, rpn.sampler.num) == (0.7, 0.3, 256)
    for proposals, count in ((model.train_cfg.rpn_proposal, 2000), (model.test_cfg.rpn, 1000)):
        assert proposals.nms.iou_threshold == 0.7
        assert name in PLAIN or proposals.max_per_img == count
    found = model.test_cfg.rcnn
    assert (found.score_thr, found.nms.iou_threshold, found.max_per_img, found.mask_thr_binary) == (0.05, 0.5, 100, 0.5)


@pytest.mark.parametrize('name', CASCADE)
def test_three_stages(name):
    model = read(name).model
    loss = model.rpn_head.loss_bbox
    assert (loss.type, loss.beta) == ('SmoothL1Loss', pytest.approx(1 / 9))
    assert model.roi_head.stage_loss_weights == [1, 0.5, 0.25]
    stages = zip(
        model.roi_head.bbox_head, model.train_cfg.rcnn, (0.5, 0.6, 0.7), ((0.1, 0.2), (0.05, 0.1), (0.033, 0.067))
    )
    for head, train, threshold, (centre, side) in stages:
        assert head.type == 'Shared4Conv1FCBBoxHead' and head.norm_cfg.type == 'SyncBN'
        assert (head.conv_out_channels, head.fc_out_channels, head.num_classes) == (256, 1024, 80)
        assert not head.reg_class_agnostic and head.reg_decoded_bbox
        assert head.loss_bbox == dict(type='GIoULoss', loss_weight=10.0)
        assert head.bbox_coder.target_stds == [centre, centre, side, side]
        assert train.assigner.pos_iou_thr == train.assigner.neg_iou_thr == threshold
        assert (train.sampler.num, train.sampler.pos_fraction, train.mask_size) == (512, 0.25, 28)
    assert (model.roi_head.mask_head.type, model.roi_head.mask_head.num_convs) == ('FCNMaskHead', 4)
