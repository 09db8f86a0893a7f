"""Our backbones and pyramid inside mmdetection's detectors, with real operators."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mim_plugin.apis.run import prepare_config
from mim_plugin.testing.coco_images import write_coco_folder
from mim_plugin.testing.shrink import shrink

testing = pytest.importorskip('mmdet.testing._utils')
pytestmark = pytest.mark.ops

CONFIGS = Path(__file__).parents[2] / 'configs' / 'detection'
CASCADE = 'ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco.py'
LANDSCAPE_AND_PORTRAIT = [(3, 64, 112), (3, 96, 80)]


@pytest.fixture(autouse=True)
def in_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def small(name: str, folder: Path) -> Config:
    torch.manual_seed(0)
    return prepare_config(shrink(Config.fromfile(CONFIGS / name), folder), work_dir=str(folder))


def samples(*numbers_of_objects: int) -> dict:
    """A batch of a landscape and a portrait image of noise with random boxes and masks."""
    shapes = LANDSCAPE_AND_PORTRAIT[: len(numbers_of_objects)]
    return testing.demo_mm_inputs(len(shapes), shapes, list(numbers_of_objects), num_classes=80, with_mask=True)


def total(losses: dict) -> torch.Tensor:
    return sum(sum(v) if isinstance(v, list) else v for key, v in losses.items() if 'loss' in key)


@pytest.mark.parametrize(
    'name',
    [
        CASCADE,
        'beit_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco.py',
        'ibot_swin-tiny-w7_cascade-mask-rcnn_8xb2-1x_coco.py',
        'ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco.py',
    ],
)
def test_trains_and_predicts_on_images_of_other_shapes(name, tmp_path):
    cfg = small(name, tmp_path)
    cfg.model.backbone.drop_path_rate = 0
    model = MODELS.build(cfg.model)
    batch = model.data_preprocessor(samples(2, 1), training=True)
    assert batch['inputs'].shape == (2, 3, 96, 128)
    losses = model.train()(**batch, mode='loss')
    total(losses).backward()
    assert any('mask' in key for key in losses)
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert model.backbone.patch_embed.projection.weight.grad.any()
    # A level of the pyramid without a sample has none.
    assert sum(bool(gradient.any()) for gradient in gradients) > 0.9 * len(gradients)

    with torch.no_grad():
        results = model.eval()(**model.data_preprocessor(samples(2, 1)), mode='predict')
    for result, (_, height, width) in zip(results, LANDSCAPE_AND_PORTRAIT):
        found = result.pred_instances
        assert found.bboxes.shape == (len(found), 4) and found.masks.shape[1:] == (height, width)
        assert len(found) <= 32 and found.scores.le(1).all()


@pytest.mark.parametrize('name', [CASCADE, 'ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco.py'])
@pytest.mark.parametrize('objects', [(0, 0), (1, 0)])
def test_images_without_objects_train_as_background(name, objects, tmp_path):
    model = MODELS.build(small(name, tmp_path).model).train()
    losses = model(**model.data_preprocessor(samples(*objects), training=True), mode='loss')
    loss = total(losses)
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    masks = [value for key, value in losses.items() if 'loss_mask' in key]
    assert masks and all(bool(value) == any(objects) for value in masks)
    assert model.backbone.patch_embed.projection.weight.grad.any()


@pytest.mark.parametrize('keep', [True, False])
def test_images_without_objects_are_filtered_or_pass_the_pipeline(keep, tmp_path):
    cfg = small(CASCADE, tmp_path)
    dataset = cfg.train_dataloader.dataset
    root = Path(dataset.data_root)
    classes = ('square', 'triangle')
    write_coco_folder(root / dataset.data_prefix.img, root / dataset.ann_file, classes, objects=(1, 0, 2, 0))
    dataset.update(metainfo=dict(classes=classes), filter_cfg=dict(filter_empty_gt=not keep, min_size=32))
    images = DATASETS.build(dataset)
    assert len(images) == (4 if keep else 2)
    for _ in range(6):  # both policies are drawn
        for index, number in enumerate((1, 0, 2, 0) if keep else (1, 2)):
            sample = images[index]['data_samples']
            assert len(sample.gt_instances) <= number  # a crop may lose objects
            assert sample.gt_instances.masks.masks is not None and sample.gt_instances.bboxes.shape[1] == 4


def test_layer_decay_groups_of_a_cascade(tmp_path):
    cfg = small(CASCADE, tmp_path)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    of = {id(p): group for group in groups for p in group['params']}
    named = {name: of[id(p)] for name, p in model.named_parameters()}
    assert len(of) == len(named) == sum(len(group['params']) for group in groups)
    depths = {'backbone.cls_token': 0, 'backbone.pos_embed': 0, 'backbone.patch_embed.projection.weight': 0}
    depths |= {f'backbone.layers.{i}.ffn.layers.1.weight': i + 1 for i in range(4)}
    depths |= dict.fromkeys(['neck.0.levels.0.0.weight', 'neck.1.fpn_convs.3.conv.weight'], 5)
    depths |= dict.fromkeys(['rpn_head.rpn_cls.weight', 'roi_head.bbox_head.2.fc_cls.weight'], 5)
    for name, depth in depths.items():
        assert named[name]['lr'] == pytest.approx(1e-4 * 0.8 ** (5 - depth)), name
        assert named[name]['weight_decay'] == 0.05, name  # [CLS] and positions, too, as published
    for name in ('backbone.layers.0.ln1.weight', 'neck.0.levels.0.1.weight', 'roi_head.bbox_head.0.fc_reg.bias'):
        assert named[name]['weight_decay'] == 0, name


def test_no_decay_of_norms_and_tables_of_swin(tmp_path):
    cfg = small('ibot_swin-tiny-w7_cascade-mask-rcnn_8xb2-1x_coco.py', tmp_path)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    of = {id(p): group for group in groups for p in group['params']}
    for name, parameter in model.named_parameters():
        exempt = 'norm' in name or name.endswith('relative_position_bias_table')
        assert of[id(parameter)]['weight_decay'] == (0 if exempt else 0.05), name
        assert of[id(parameter)]['lr'] == 1e-4


def test_paper_steps_are_one_override():
    options = {'param_scheduler.1.milestones': [9, 11]}
    cfg = prepare_config(str(CONFIGS / CASCADE), work_dir='unused', cfg_options=options)
    assert [entry.type for entry in cfg.param_scheduler] == ['LinearLR', 'MultiStepLR']
    assert cfg.param_scheduler[1].milestones == [9, 11]


PRETRAINED = {
    CASCADE: dict(mask_token=True),
    'beit_vit-base-p16_cascade-mask-rcnn_8xb2-1x_coco.py': dict(mask_token=True, relative_bias='shared'),
    'ibot_swin-tiny-w7_cascade-mask-rcnn_8xb2-1x_coco.py': dict(mask_token=True, out_indices=(-1,)),
}


@pytest.mark.parametrize('name', PRETRAINED)
def test_starts_from_a_square_pretrained_backbone(name, tmp_path):
    cfg = small(name, tmp_path)
    settings = dict(cfg.model.backbone) | dict(img_size=64, final_norm='last') | PRETRAINED[name]
    if 'Swin' in settings['type']:
        settings.pop('final_norm')
    pretrained = MODELS.build(settings)
    for parameter in pretrained.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    torch.save(pretrained.state_dict(), tmp_path / 'backbone.pth')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'))
    backbone = MODELS.build(cfg.model).backbone
    backbone.init_weights()
    source, found = pretrained.state_dict(), backbone.state_dict()
    assert found['patch_embed.projection.weight'].equal(source['patch_embed.projection.weight'])
    if 'pos_embed' in found:
        assert backbone.train_grid == (3, 4)
        wanted = torch.nn.functional.interpolate(
            source['pos_embed'][0, 1:].T.unflatten(1, (4, 4))[None], (3, 4), mode='bicubic', align_corners=False
        )
        torch.testing.assert_close(found['pos_embed'][0, 1:], wanted.flatten(2)[0].T)
    tables = [key for key in found if key.endswith('relative_position_bias_table')]
    assert bool(tables) == (name != CASCADE)
    for key in tables:
        assert found[key].std() > 0.04, f'{key} kept its start'
