"""Conversions: lossless ones there and back, outputs of the other classes, and what is said about the rest."""

import argparse
import json

import pytest
import torch
from safetensors.torch import load_file

from mim_plugin.checkpoints import convert, load_pretrained, read_checkpoint
from mim_plugin.checkpoints.convert import convert_state, flat
from mim_plugin.checkpoints.download import sha256_of
from mim_plugin.checkpoints.formats.registry import by_name
from mim_plugin.checkpoints.matrix import KINDS, cells, sample
from mim_plugin.errors import CheckpointError
from mim_plugin.models import dvae
from mim_plugin.registry import MODELS
from tests.test_checkpoints.tiny import make_ibot, official_file

ALL = ('*',)
CELLS = list(cells())
LOSSLESS = [cell for cell in CELLS if not isinstance(cell[3], str) and cell[3].report.kind == 'lossless']


def name_of(cell):
    return f'{cell[0]}: {cell[1]} to {cell[2]}'


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], value) and one[name].dtype == value.dtype for name, value in other.items())


def test_there_is_something_of_everything():
    kinds = {'refused' if isinstance(result, str) else result.report.kind for *_, result in CELLS}
    assert kinds == {'refused', 'lossless', 'same outputs', 'lossy'}
    assert {cell[0] for cell in LOSSLESS} == set(KINDS) and len(LOSSLESS) > 60


@pytest.mark.parametrize('cell', LOSSLESS, ids=name_of)
def test_lossless_means_there_and_back_to_the_same_bits(cell):
    kind, source, target, there = cell
    file = by_name(target).nested(there.state)
    back = convert_state(file, target, source)
    first = convert_state(by_name('mim_plugin').nested(sample(kind)), 'mim_plugin', source)
    assert_equal(back.state, first.state)
    assert back.report.kind == 'lossless'


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('target', ['mmpretrain', 'mmseg', 'mmdet', 'timm'])
def test_outputs_of_the_classes_agree(kind, target, tmp_path):
    pytest.importorskip(target)
    state = {name: 0.3 * value for name, value in sample(kind).items()}
    torch.save({'state_dict': state}, tmp_path / 'ours.pth')
    if target == 'mmdet' and 'Swin' not in kind:
        with pytest.raises(CheckpointError, match='no plain vision transformer'):
            convert(tmp_path / 'ours.pth', tmp_path / 'out.pth', to_format=target, allow_unused=ALL)
        assert not (tmp_path / 'out.pth').exists()
        return
    done = convert(tmp_path / 'ours.pth', tmp_path / 'out.pth', to_format=target, allow_unused=ALL, verify=True)
    (line,) = [line for line in done.verified if 'agree' in line]
    assert by_name(target).title in line
    # And the file is found to be what it is, where that can be told.
    back = convert(tmp_path / 'out.pth', tmp_path / 'back.pth', target, verify=True)
    assert back.kind == 'lossless' and any('agree' in line for line in back.verified)


# Families that have the names of another for some networks, and are read as that one.
SAME_NAMES = {
    'timm': ('ibot', 'beit'), 'beit_v2': ('beit',), 'mmpretrain': ('mim_plugin',),
    'mmseg': ('mmpretrain', 'mim_plugin'), 'mmdet': ('mmpretrain',),
}  # fmt: skip


@pytest.mark.parametrize('cell', [cell for cell in LOSSLESS if cell[1] == 'mim_plugin'], ids=name_of)
def test_recognised_without_from(cell):
    kind, _, source, there = cell
    back = convert_state(by_name(source).nested(there.state))
    assert_equal(back.state, sample(kind))
    assert back.report.from_format in (source, *SAME_NAMES.get(source, ()))


def test_a_full_official_file_with_its_training_state(tmp_path):
    extra = {'optimizer': {'state': {0: {'step': 3}}}, 'fp16_scaler': {'scale': 2.0}}
    official_file(make_ibot(seed=1), tmp_path / 'full.pth', **extra)
    without = convert(tmp_path / 'full.pth', tmp_path / 'without.pth')
    assert without.training_state == ['args', 'epoch', 'fp16_scaler', 'optimizer'] and not without.carried
    assert set(torch.load(tmp_path / 'without.pth')) == {'state_dict', 'meta'}
    assert 'fp16_scaler, optimizer): not carried' in str(without)
    convert(tmp_path / 'full.pth', tmp_path / 'ours.pth', with_training_state=True)
    convert(tmp_path / 'ours.pth', tmp_path / 'back.pth', to_format='ibot', with_training_state=True)
    first, last = read_checkpoint(tmp_path / 'full.pth'), read_checkpoint(tmp_path / 'back.pth')
    for key in ('student', 'teacher', 'ibot_loss'):
        assert_equal(first[key], last[key])
    assert last['optimizer'] == extra['optimizer'] and last['epoch'] == 800
    assert isinstance(last['args'], argparse.Namespace)
    with pytest.raises(CheckpointError, match=r'cannot hold; name a \.pth file'):
        convert(tmp_path / 'full.pth', tmp_path / 'ours.safetensors', with_training_state=True)


def test_safetensors_there_and_back(tmp_path):
    official_file(make_ibot(seed=1), tmp_path / 'full.pth')
    convert(tmp_path / 'full.pth', tmp_path / 'ours.safetensors')
    convert(tmp_path / 'ours.safetensors', tmp_path / 'back.pth', to_format='ibot')
    first, last = read_checkpoint(tmp_path / 'full.pth'), read_checkpoint(tmp_path / 'back.pth')
    assert_equal(first['teacher'], last['teacher'])
    assert_equal(load_file(tmp_path / 'ours.safetensors'), make_ibot(seed=1).state_dict())
    other = make_ibot(seed=2)
    assert not load_pretrained(other, tmp_path / 'ours.safetensors').kept
    assert_equal(other.state_dict(), make_ibot(seed=1).state_dict())
    with pytest.raises(CheckpointError, match='holds tensors alone'):
        convert(tmp_path / 'full.pth', tmp_path / 'a.safetensors', to_format='ibot')
    with pytest.raises(CheckpointError, match=r'ends in \.pth or \.safetensors'):
        convert(tmp_path / 'full.pth', tmp_path / 'a.bin')


def test_what_is_lost_is_named_and_needs_permission(tmp_path):
    official_file(make_ibot(seed=1), tmp_path / 'full.pth')
    arguments = (tmp_path / 'full.pth', tmp_path / 'out.pth', None, 'timm')
    with pytest.raises(CheckpointError, match=r'would lose student\..*--allow-unused PATTERN or choose .*--part'):
        convert(*arguments)
    with pytest.raises(CheckpointError, match=r'would lose teacher\.head\.mlp.*last_layer.*no such part') as caught:
        convert(*arguments, part='teacher')
    assert 'student' not in str(caught.value) and not (tmp_path / 'out.pth').exists()
    done = convert(*arguments, part='teacher', allow_unused=['teacher.head.*'], report=tmp_path / 'r' / 'report.json')
    report = json.loads((tmp_path / 'r' / 'report.json').read_text())
    assert report['kind'] == done.kind == 'lossy' and report['lost'] == done.lost
    source = flat(read_checkpoint(tmp_path / 'full.pth'))[0]
    listed = [name for row in report['rows'] for name in row['source']]
    assert sorted(listed) == sorted(source)  # every tensor, once
    (row,) = [row for row in report['rows'] if row['target'] == ['blocks.1.attn.qkv.weight']]
    assert row['source'] == ['teacher.backbone.blocks.1.attn.qkv.weight'] and row['shape'] == [[72, 24]]
    assert '(x2)' in str(done) and 'teacher.backbone.blocks.*.attn.qkv.weight' in str(done)


def test_what_is_missing_is_named_and_needs_permission(tmp_path):
    state = sample('BEiT, classifier')
    del state['backbone.layers.1.attn.q_bias'], state['backbone.layers.1.ln2.weight']
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'would lack .*blocks\.1\.norm2\.weight.*--allow-missing PATTERN'):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to_format='beit')
    done = convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to_format='beit', allow_missing=['blocks.1.*'])
    assert sorted(done.missing) == ['blocks.1.attn.q_bias', 'blocks.1.norm2.weight'] and done.kind == 'lossy'
    assert not read_checkpoint(tmp_path / 'b.pth')['model'].keys() & set(done.missing)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'backbone.layers.0.attn.extra.weight': torch.zeros(2)}, 'none that we know.*attn.extra.weight'),
        ({'backbone.layers.1.attn.proj.bias': torch.zeros(3)}, r'proj\.bias \(3,\) instead of \(64,\)'),
        ({'something.weight': torch.zeros(2)}, 'knows no something.weight'),
        (
            {'backbone.layers.0.attn.relative_position_bias_table': torch.zeros(52, 1),
             'backbone.layers.0.attn.relative_position_index': torch.zeros(17, 17, dtype=torch.int64)},
            r'index buffer of shape \(17, 17\) is not the one',
        ),
    ],
)
def test_unlisted_tensors_are_an_error(change, message, tmp_path):
    torch.save({**sample('ViT'), **change}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert not (tmp_path / 'b.pth').exists()


def test_other_mistakes(tmp_path):
    torch.save(sample('ViT'), tmp_path / 'a.pth')
    torch.save({'x.weight': torch.zeros(1)}, tmp_path / 'x.pth')
    for arguments, message in (
        ({'to_format': 'keras'}, "Format 'keras' is unknown; use one of .*timm"),
        ({'part': 'both'}, "part='both' is unknown"),
        ({'src': tmp_path / 'x.pth'}, 'are those of no known format'),
        ({'src': tmp_path}, 'is a folder'),
        ({'src': tmp_path / 'nothing.pth'}, 'does not exist'),
        ({'dst': tmp_path / 'a.pth'}, 'would be overwritten'),
        ({'dst': tmp_path / 'a.pth/b.pth'}, 'cannot be written'),
    ):
        with pytest.raises(CheckpointError, match=message):
            convert(**{'src': tmp_path / 'a.pth', 'dst': tmp_path / 'b.pth', **arguments})


def test_a_name_with_a_hash_and_a_tensor_without_numbers(tmp_path):
    torch.save(sample('ViT'), tmp_path / 'vit-00000000.pth')
    with pytest.raises(CheckpointError, match='is not the file that was published'):
        convert(tmp_path / 'vit-00000000.pth', tmp_path / 'b.pth')
    (tmp_path / 'vit-00000000.pth').rename(tmp_path / f'vit-{sha256_of(tmp_path / "vit-00000000.pth")[:8]}.pth')
    convert(*tmp_path.glob('vit-*.pth'), tmp_path / 'b.pth')
    torch.save({**sample('ViT'), 'backbone.cls_token': torch.zeros(1).expand(1, 1, 1 << 40)}, tmp_path / 'c.pth')
    with pytest.raises(CheckpointError, match=r'c\.pth .* claims to hold tensors of 4,398,046,[0-9,]+ bytes or more'):
        convert(tmp_path / 'c.pth', tmp_path / 'd.pth')


@pytest.mark.parametrize('network', ['DALLEEncoder', 'DALLEDecoder'])
def test_files_of_dalle(tmp_path, network):
    model = getattr(dvae, network)(vocabulary_size=12, hidden_dim=8, blocks_per_group=1)
    torch.save(model, tmp_path / 'network.pkl')
    done = convert(tmp_path / 'network.pkl', tmp_path / 'network.safetensors')
    assert (done.from_format, done.kind) == ('dalle', 'lossless')
    assert_equal(load_file(tmp_path / 'network.safetensors'), model.state_dict())
    assert convert(tmp_path / 'network.safetensors', tmp_path / 'b.pth').kind == 'lossless'
    with pytest.raises(CheckpointError, match='there is no backbone in the file'):
        convert(tmp_path / 'network.pkl', tmp_path / 'c.pth', to_format='timm')
    with pytest.raises(CheckpointError, match='decoder.pkl are read, not written'):
        convert(tmp_path / 'b.pth', tmp_path / 'c.pth', to_format='dalle')
    del model.blocks.group_2.block_1.res_path.conv_3.b
    torch.save(model, tmp_path / 'network.pkl')
    with pytest.raises(CheckpointError, match=r'lacks blocks\.group_2\.block_1\.res_path\.conv_3\.b'):
        convert(tmp_path / 'network.pkl', tmp_path / 'c.pth')


def test_verify_finds_a_wrong_value(tmp_path, monkeypatch):
    from mim_plugin.checkpoints.formats.timm import TimmFormat

    torch.save(sample('ViT'), tmp_path / 'a.pth')
    monkeypatch.setattr(TimmFormat, 'outputs', lambda self, state, config, images: torch.zeros(2, 16, 64))
    with pytest.raises(CheckpointError, match='differ from ours by .*nothing was written'):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to_format='timm', verify=True)
    assert not (tmp_path / 'b.pth').exists()


@pytest.mark.parametrize('newer', [False, True])
def test_layers_of_the_same_norm_stay_two(newer):
    """Where norms are frozen, as in most published runs, they alone are equal in the layers of [CLS] and patches."""
    model = make_ibot(seed=1, head={'shared': False}).state_dict()
    for name, value in model.items():
        if name.endswith('weight_g'):
            value.fill_(1)
    full = convert_state(model, to_format='ibot')
    official = {
        name.replace('.weight_g', '.parametrizations.weight.original0') if newer else name: value
        for name, value in full.state.items()
    }
    if newer:
        official = {n.replace('.weight_v', '.parametrizations.weight.original1'): v for n, v in official.items()}
    there = convert_state(official)
    assert_equal(there.state, model)
    assert there.report.kind == ('same outputs' if newer else 'lossless')


@pytest.mark.parametrize('shared', [False, True])
def test_weight_norm_of_newer_torch(shared):
    model = make_ibot(seed=1, head={'shared': shared}).state_dict()
    network = {name: value for name, value in model.items() if name.startswith(('backbone.', 'head.'))}
    official = convert_state({'state_dict': network}, to_format='ibot').state
    for old, new in (('weight_g', 'original0'), ('weight_v', 'original1')):
        official = {name.replace(f'.{old}', f'.parametrizations.weight.{new}'): v for name, v in official.items()}
    assert sum('parametrizations' in name for name in official) == 4
    done = convert_state(official)
    assert_equal(done.state, network)
    assert done.report.kind == 'same outputs'  # newer names do not come back


@pytest.mark.parametrize('cell', [cell for cell in LOSSLESS if cell[1] == 'mim_plugin'], ids=name_of)
def test_a_model_takes_the_converted_file_as_it_is(cell):
    kind, _, target, there = cell
    pair = 'student and teacher' in kind
    wanted = {n: v for n, v in sample(kind).items() if n.startswith('tokenizer.backbone.' if pair else 'backbone.')}
    wanted = {name.removeprefix('tokenizer.').removeprefix('backbone.'): value for name, value in wanted.items()}
    backbone = MODELS.build(dict(there.config))
    report = load_pretrained(backbone, by_name(target).nested(there.state), logger=None)
    assert_equal({name: backbone.state_dict()[name] for name in wanted}, wanted)
    assert not report.unused and not report.mismatched
