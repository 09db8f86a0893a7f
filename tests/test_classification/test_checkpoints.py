"""From pretraining to a classifier, from there to another size and to segmentation: nothing is lost on the way."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import load_checkpoint

from mim_plugin.apis.run import _load_by_other_names, prepare_config
from mim_plugin.apis.run import test as run_test
from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats import beit
from mim_plugin.errors import CheckpointError
from mim_plugin.testing.shrink import shrink

pytest.importorskip('mmpretrain')
ROOT = Path(__file__).parents[2]
ARCH = dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48)
VIT = dict(type='mim_plugin.MIMVisionTransformer', arch=ARCH, img_size=32, patch_size=8)
OF_BEIT = dict(
    VIT,
    pos_embed=None,
    relative_bias='per_block',
    qkv_bias='qv',
    layer_scale=0.1,
    mean_pooling=True,
    out_type='avg_featmap',
)
OF_IBOT = dict(VIT, out_type='cls_token')
FAMILIES = {'beit': OF_BEIT, 'ibot': OF_IBOT}


def classifier(backbone, checkpoint=None, scale=1.0, **changes):
    init_cfg = checkpoint and dict(type='Pretrained', checkpoint=str(checkpoint))
    config = dict(
        type='ImageClassifier',
        backbone=dict(backbone, init_cfg=init_cfg, **changes),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=24),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(config)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():  # no two values are the same, none is where it starts
            parameter.copy_(torch.randn_like(parameter) * scale)
    return model


@pytest.fixture(params=FAMILIES)
def fine_tuned(request, tmp_path):
    """A family's backbone, a classifier with it, and the classifier's file."""
    model = classifier(FAMILIES[request.param])
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'epoch_100.pth')
    return FAMILIES[request.param], model, tmp_path / 'epoch_100.pth'


def test_backbone_of_a_classifier_starts_the_next_one(fine_tuned):
    backbone, source, path = fine_tuned
    target = classifier(backbone, path, scale=0.1)
    before = target.head.fc.weight.clone()
    target.backbone.init_weights()
    for name, value in source.backbone.state_dict().items():
        assert target.backbone.state_dict()[name].equal(value), name
    assert target.head.fc.weight.equal(before)


def test_another_size_resizes_positions_and_tables_and_nothing_else(fine_tuned):
    backbone, source, path = fine_tuned
    target = classifier(backbone, img_size=48)
    report = load_pretrained(target.backbone, str(path))
    count = 4 if backbone is OF_BEIT else 1
    assert len(report.resized) == count and not report.kept and not report.mismatched and not report.unused
    changed = {name.split()[0] for name in report.resized}
    assert all(name.endswith(('relative_position_bias_table', 'pos_embed')) for name in changed)
    for name, value in source.backbone.state_dict().items():
        assert name in changed or target.backbone.state_dict()[name].equal(value), name
    assert target.backbone(torch.zeros(1, 3, 48, 48))[0].shape == (1, 24)


def test_training_goes_on_at_another_size_with_the_same_head(fine_tuned):
    backbone, source, path = fine_tuned
    target = classifier(backbone, scale=0.1, img_size=48)
    load_checkpoint(target, str(path), map_location='cpu')  # as the Runner with `load_from`
    assert all(value.equal(source.head.state_dict()[name]) for name, value in target.head.state_dict().items())
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (ours,), (theirs,) = (model.eval().extract_feat(images) for model in (target, source))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_config_of_another_size_is_tested_with_what_the_file_gives_there(fine_tuned):
    backbone, source, path = fine_tuned
    target = classifier(backbone, scale=0.1, img_size=48).eval()
    assert _load_by_other_names(target, str(path))
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = (model.head(model.extract_feat(images)) for model in (target, source.eval()))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_segmentation_starts_from_a_classifier(fine_tuned):
    pytest.importorskip('mmseg')
    backbone, source, path = fine_tuned
    of_beit = backbone is OF_BEIT
    taps = dict(out_indices=(0, 1, 2, 3), out_type='featmap', final_norm='none' if of_beit else 'all')
    config = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=dict(
            backbone, img_size=64, mean_pooling=False, init_cfg=dict(type='Pretrained', checkpoint=str(path)), **taps
        ),
        decode_head=dict(type='FCNHead', in_channels=24, channels=24, num_convs=0, num_classes=3, concat_input=False),
    )
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(config)
        model.init_weights()
    state = source.backbone.state_dict()
    for name, value in model.backbone.state_dict().items():
        if name.endswith(('relative_position_bias_table', 'pos_embed')):
            assert value.shape != state[name].shape
        else:
            assert value.equal(state[name]), name
    assert state.keys() - model.backbone.state_dict().keys() == ({'ln2.weight', 'ln2.bias'} if of_beit else set())


def official_file(tmp_path, model=None):
    """BEiT's published layout of a fine-tuned classifier: tables with their index, biases of queries and values."""
    model = model or classifier(OF_BEIT)
    state = {name.replace('head.fc.', 'head.'): value for name, value in model.state_dict().items()}
    torch.save(beit.to_official(state), tmp_path / 'beit_ft.pth')
    return model, str(tmp_path / 'beit_ft.pth')


def test_official_classifier_gives_its_backbone_or_all_of_it(tmp_path):
    source, path = official_file(tmp_path)
    target = classifier(OF_BEIT, scale=0.1)
    report = load_pretrained(target.backbone, path)
    assert not report.kept and not report.mismatched and not report.unused
    assert report.source.endswith('(a file of BEiT (official), without its head)')
    assert all(value.equal(source.backbone.state_dict()[name]) for name, value in target.backbone.state_dict().items())
    assert not target.head.fc.weight.equal(source.head.fc.weight)
    assert _load_by_other_names(target, path)
    assert all(value.equal(source.state_dict()[name]) for name, value in target.state_dict().items())


def test_a_file_that_leaves_something_unfilled_is_not_tested(tmp_path):
    source, path = official_file(tmp_path)
    assert not _load_by_other_names(classifier(OF_IBOT), path)
    state = {name.replace('head.fc.', 'head.'): v for name, v in source.state_dict().items() if '.ln2.' not in name}
    torch.save(beit.to_official(state), tmp_path / 'no_norm.pth')
    assert not _load_by_other_names(classifier(OF_BEIT), str(tmp_path / 'no_norm.pth'))


def test_published_classifier_is_tested_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', property(repr))
    cfg = Config.fromfile(ROOT / 'configs/classification/beit_vit-base-p16_8xb128-coslr-100e_in1k.py')
    cfg = prepare_config(shrink(cfg, tmp_path / 'data'), work_dir=str(tmp_path / 'work'))
    cfg.experiment_name = tmp_path.name
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    with torch.no_grad():
        model.head.fc.weight.zero_()
        model.head.fc.bias.zero_()[1] = 9.0  # always says the second class, which half of the images are
    _, path = official_file(tmp_path, model)
    assert run_test(cfg, path)['accuracy/top1'] == 50
    torch.save({'model': {'head.weight': torch.zeros(1000, 64)}}, tmp_path / 'damaged.pth')
    with pytest.raises(CheckpointError, match='Nothing in .*damaged.pth .* fits the model: the file has head.weight'):
        run_test(cfg, str(tmp_path / 'damaged.pth'))


def test_own_classifier_says_where_a_pretrained_file_belongs(tmp_path):
    backbone = {**OF_BEIT, 'relative_bias': 'shared', 'mean_pooling': False, 'mask_token': True, 'out_type': 'featmap'}
    pretraining = MODELS.build(backbone)
    state = {f'backbone.{name}': value for name, value in pretraining.state_dict().items()}
    state |= {'head.linear.weight': torch.zeros(8, 24), 'head.linear.bias': torch.zeros(8)}
    torch.save({'state_dict': state}, tmp_path / 'beit.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'beit.pth'))
    config = dict(type='mim_plugin.MIMClassifier', backbone=OF_BEIT, num_classes=5)
    with pytest.raises(CheckpointError, match='pretrained backbone, name it in model.backbone.init_cfg'):
        MODELS.build({**config, 'init_cfg': init_cfg}).init_weights()
    model = MODELS.build({**config, 'backbone': {**OF_BEIT, 'init_cfg': init_cfg}})
    model.init_weights()
    assert model.backbone.layers[3].attn.gamma1.weight.equal(pretraining.layers[3].attn.gamma1.weight)
