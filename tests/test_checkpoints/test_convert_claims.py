"""What a conversion claims of itself, for backbones of many kinds and for files with more than weights."""

import json

import pytest
import torch
from mmengine.registry import DefaultScope

from mim_plugin.checkpoints import convert, read_checkpoint
from mim_plugin.checkpoints.convert import convert_state
from mim_plugin.checkpoints.formats.registry import FORMATS, by_name
from mim_plugin.checkpoints.formats.timm import TimmFormat
from mim_plugin.checkpoints.geometry import Geometry
from mim_plugin.checkpoints.matrix import sample
from mim_plugin.checkpoints.verify import verified
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS
from tests.test_checkpoints.tiny import make_ibot, official_file

ARCH = {'embed_dims': 64, 'num_layers': 2, 'num_heads': 1, 'feedforward_channels': 128}
VIT = {'type': 'MIMVisionTransformer', 'arch': ARCH, 'img_size': 32, 'patch_size': 8}
RELATIVE = {'pos_embed': None, 'qkv_bias': 'qv', 'layer_scale': 0.1}
BACKBONES = {
    'plain': {},
    'with a mask token, without biases': {'mask_token': True, 'qkv_bias': None},
    'mean of patches': {'mean_pooling': True},
    'no final norm': {'final_norm': 'none', 'layer_scale': 0.1},
    'no final norm, without biases': {'final_norm': 'none', 'qkv_bias': None},
    'registers': {'num_registers': 2},
    'registers and scales': {'num_registers': 2, 'layer_scale': 0.1, 'mask_token': True},
    'registers, mean of patches': {'num_registers': 2, 'mean_pooling': True},
    'tables': {**RELATIVE, 'relative_bias': 'per_block', 'mean_pooling': True},
    'one table, no final norm': {**RELATIVE, 'relative_bias': 'shared', 'final_norm': 'none'},
    'tables and positions, without biases': {'relative_bias': 'both', 'qkv_bias': None, 'mask_token': True},
}


def random_state(**options):
    torch.manual_seed(0)
    with torch.device('meta'):
        shapes = {f'backbone.{name}': value.shape for name, value in MODELS.build(options).state_dict().items()}
    names = [name for name in shapes if not name.endswith('relative_position_index')]
    return {name: 0.3 * torch.randn(shapes[name]) for name in names}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize('head', [False, True], ids=['alone', 'classifier'])
@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('target', [known.name for known in FORMATS if known.writable])
def test_lossless_comes_back_and_outputs_agree_or_it_is_refused(target, name, head):
    if target in ('mmpretrain', 'mmseg', 'mmdet', 'timm'):
        pytest.importorskip(target)
    ours = random_state(**VIT, **BACKBONES[name])
    if head:
        ours |= {'head.weight': torch.randn(5, 64), 'head.bias': torch.randn(5)}
    may_lose = ('backbone.mask_token', 'backbone.ln2.*', 'head.*')
    try:
        there = convert_state(ours, 'mim_plugin', target, allow_unused=may_lose)
    except CheckpointError as error:
        assert len(str(error)) < 200 and '\n' not in str(error)
        return
    assert verified(there, ours)
    back = convert_state(by_name(target).nested(there.state))
    assert same(back.state, ours) == (there.report.kind == 'lossless' and back.report.kind == 'lossless')


def test_unknown_tensors_may_be_left_on_request():
    file = {**sample('ViT'), 'decoder.weight': torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r'knows no decoder\.weight.*--from.*--allow-unused PATTERN'):
        convert_state(file)
    done = convert_state(file, allow_unused=['decoder.*'])
    assert done.report.lost == ['decoder.weight'] and done.report.kind == 'lossy'
    assert done.state.keys() == sample('ViT').keys()
    with pytest.raises(CheckpointError, match='DINOv2 knows nothing of the file'):
        convert_state(sample('ViT'), 'hugging_face', allow_unused=['*'])


def test_one_thing_under_two_names_is_an_error():
    state = convert_state({'state_dict': sample('Swin')}, to_format='timm').state
    ours = convert_state(state).state
    file = {**ours, 'backbone.norm.weight': ours['backbone.norm3.weight']}
    with pytest.raises(CheckpointError, match=r'would both be backbone\.norm3\.weight'):
        convert_state(file, 'mmpretrain')


def test_the_order_of_a_file_is_kept(tmp_path):
    official_file(make_ibot(seed=1), tmp_path / 'full.pth')
    convert(tmp_path / 'full.pth', tmp_path / 'ours.pth')
    convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', to_format='ibot')
    first, last = read_checkpoint(tmp_path / 'full.pth'), read_checkpoint(tmp_path / 'back.pth')
    for part in ('student', 'teacher'):
        of_first, of_last = ([n for n in file[part] if 'last_layer' not in n] for file in (first, last))
        assert of_first == of_last


def test_the_default_scope_of_another_toolbox_does_not_matter():
    with DefaultScope.overwrite_default_scope('mmengine'):
        there = convert_state({'state_dict': sample('ViT')}, to_format='timm')
        assert verified(there, sample('ViT'))


def test_the_table_of_a_training_is_listed_and_carried(tmp_path):
    meta = {'epoch': 3, 'iter': 30, 'dataset_meta': {'classes': ('a', 'b')}}
    torch.save({'state_dict': sample('ViT'), 'meta': meta, 'optimizer': {'state': {}}}, tmp_path / 'train.pth')
    assert convert(tmp_path / 'train.pth', tmp_path / 'a.pth').training_state == ['meta', 'optimizer']
    assert convert(tmp_path / 'a.pth', tmp_path / 'again.pth').training_state == []
    convert(tmp_path / 'train.pth', tmp_path / 'b.pth', to_format='timm', with_training_state=True)
    assert read_checkpoint(tmp_path / 'b.pth')['training_state']['meta'] == meta
    convert(tmp_path / 'b.pth', tmp_path / 'c.pth', to_format='ibot', with_training_state=True)
    file = read_checkpoint(tmp_path / 'c.pth')
    assert file['meta']['format'] == 'ibot' and file['meta']['dataset_meta'] == meta['dataset_meta']
    assert file['optimizer'] == {'state': {}}


@pytest.mark.parametrize('options', [{}, {'qkv_bias': 'qv', 'relative_bias': 'both'}], ids=['plain', 'tables'])
def test_a_file_tells_its_rectangle(options):
    there = convert_state(random_state(**VIT, **options), geometry=Geometry(img_size=(32, 48)))
    file = {'state_dict': there.state, 'meta': {'backbone': json.dumps(there.config)}}
    theirs = convert_state(file, to_format='timm')
    assert theirs.config['img_size'] == (32, 48) and verified(theirs, there.state)
    back = convert_state(file, geometry=Geometry(img_size=(48, 32)))
    assert back.config['img_size'] == (48, 32)
    del file['meta']
    with pytest.raises(CheckpointError, match='24 positions do not belong to a square'):
        convert_state(file)


@pytest.mark.parametrize('bias', [None, 'shared'])
def test_fixed_positions_become_learned_ones(bias):
    settings = {**VIT, 'pos_embed': 'sincos', 'relative_bias': bias, 'qkv_bias': 'qv'}
    ours = random_state(**settings)
    there = convert_state({'state_dict': ours, 'meta': {'backbone': json.dumps(settings)}}, to_format='timm')
    assert there.report.kind == 'same outputs' and there.state['pos_embed'].shape == (1, 17, 64)
    assert verified(there, ours)
    model = MODELS.build(settings).eval()
    model.load_state_dict({name.removeprefix('backbone.'): value for name, value in ours.items()})
    again = convert_state({'state_dict': there.state})
    learned = MODELS.build(again.config).eval()
    learned.load_state_dict({name.removeprefix('backbone.'): value for name, value in again.state.items()})
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model.forward_tokens(images), learned.forward_tokens(images))


def test_a_relative_bias_that_is_not_there_cannot_be_shared():
    with pytest.raises(CheckpointError, match='no relative position bias'):
        convert_state({'state_dict': sample('ViT')}, geometry=Geometry(relative_bias='per_block'))


@pytest.mark.parametrize('options', [{}, {'patch_bias': True, 'qkv_bias': False}], ids=['default', 'no biases'])
def test_the_transformer_of_mmseg_without_biases(options):
    pytest.importorskip('mmseg')
    from mmseg.models.backbones import VisionTransformer

    torch.manual_seed(0)
    sizes = {'img_size': 32, 'patch_size': 8, 'embed_dims': 64, 'num_layers': 2, 'num_heads': 1, 'mlp_ratio': 2}
    state = VisionTransformer(**sizes, **options).state_dict()
    done = convert_state(state)
    assert done.report.kind == 'same outputs' and not done.report.missing
    assert 'agree' in verified(done, state)[1]


def test_the_classifier_of_mmpretrain_with_its_own_head():
    pytest.importorskip('mmpretrain')
    from mmpretrain.models import VisionTransformerClsHead

    torch.manual_seed(0)
    head = VisionTransformerClsHead(num_classes=5, in_channels=64).state_dict()
    plain = convert_state({'state_dict': sample('ViT')}, to_format='mmpretrain').state
    file = {f'backbone.{name}': value for name, value in plain.items()} | {f'head.{n}': v for n, v in head.items()}
    done = convert_state(file, to_format='timm')
    assert (done.report.from_format, done.report.kind) == ('mmpretrain', 'same outputs')
    assert torch.equal(done.state['head.weight'], head['layers.head.weight'])


@pytest.mark.parametrize('toolbox', ['mmpretrain', 'mmseg', 'mmdet'])
def test_windows_of_two_sizes_are_refused(toolbox):
    arch = {'embed_dims': 16, 'depths': (1, 1, 1, 2), 'num_heads': (1, 1, 2, 2)}
    swin = {'type': 'MIMSwinTransformer', 'arch': arch, 'img_size': 64, 'window_size': 4}
    state = random_state(**swin)
    with pytest.raises(CheckpointError, match='windows of the stages have 4, 4, 4, 2 cells'):
        convert_state({'state_dict': state}, to_format=toolbox)
    there = convert_state({'state_dict': state}, to_format='timm')
    assert 'agree' in verified(there, state)[1]


def test_a_class_that_does_not_take_the_weights_is_one_sentence(monkeypatch):
    def fails(*_):
        raise RuntimeError('Error(s):\n\tMissing key(s): "a".')

    there = convert_state({'state_dict': sample('ViT')}, to_format='timm')
    monkeypatch.setattr(TimmFormat, 'outputs', fails)
    with pytest.raises(CheckpointError, match=r'^The class of timm .* does not take the weights: Error\(s\): Missing'):
        verified(there, sample('ViT'))


@pytest.mark.parametrize('toolbox', ['mmpretrain', 'mmseg', 'mmdet', 'timm'])
def test_swin_whose_last_stage_has_two_blocks(toolbox):
    """On a map of one window, as the last stage has at 224 pixels, toolboxes shift; outputs agree on larger ones."""
    pytest.importorskip(toolbox)
    arch = {'embed_dims': 16, 'depths': (2, 1, 1, 2), 'num_heads': (2, 2, 4, 4)}
    state = random_state(type='MIMSwinTransformer', arch=arch, img_size=128, window_size=4)
    there = convert_state({'state_dict': state}, to_format=toolbox)
    assert 'agree' in verified(there, state)[1]


def test_every_tensor_is_in_one_row():
    settings = {**VIT, **RELATIVE, 'relative_bias': 'both'}
    there = convert_state(random_state(**settings), to_format='mmseg')
    listed = [name for row in there.report.rows for name in row.source]
    assert sorted(listed) == sorted(random_state(**settings))
    (row,) = [row for row in there.report.rows if 'backbone.rel_pos_bias.relative_position_bias_table' in row.source]
    assert len(row.target) == len(row.target_shape) == 4  # a table and an index for each block


@pytest.mark.parametrize('part', [None, 'teacher', 'student'])
def test_published_names_are_compared_with_the_class_of_timm(tmp_path, part):
    official_file(make_ibot(seed=1, arch=ARCH), tmp_path / 'full.pth')
    done = convert(tmp_path / 'full.pth', tmp_path / 'ours.pth', part=part, verify=True)
    assert "computed by timm's class, agree" in done.verified[1]


@pytest.mark.parametrize('kind', ['BEiT, pretraining', 'BEiT, classifier', 'Swin', 'Swin, student and teacher'])
def test_published_networks_of_other_kinds_are_compared_too(kind):
    state = {name: 0.3 * value for name, value in sample(kind).items()}
    there = convert_state({'state_dict': state}, to_format='beit' if 'BEiT' in kind else 'ibot')
    assert "computed by timm's class, agree" in verified(there, state)[1]


def test_what_timm_does_not_compute_is_said():
    state = random_state(**VIT, **BACKBONES['one table, no final norm'])
    there = convert_state({'state_dict': state}, to_format='beit')
    assert "not against beit: timm's BEiT, which could be compared, always has a final norm" in verified(there, state)


def test_a_head_of_dino_alone_does_not_come_back_under_its_names():
    network = make_ibot(seed=1).state_dict()
    teacher = {n.removeprefix('tokenizer.'): value for n, value in network.items() if n.startswith('tokenizer.')}
    file = convert_state({'state_dict': teacher}, to_format='ibot').state
    once = convert_state({name: value for name, value in file.items() if 'last_layer2' not in name})
    assert once.report.kind == 'same outputs' and same(once.state, teacher)
    assert convert_state(file).report.kind == 'lossless'
