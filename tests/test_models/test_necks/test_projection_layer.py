"""What is kept of a projection head, from every kind of file."""

import pytest
import torch
import torch.nn.functional as F

from mim_plugin.checkpoints.formats.ibot import backbone_to_official, to_official
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.registry import MODELS
from tests.test_checkpoints.tiny import make_ibot, official_file


def neck(checkpoint, **options):
    init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint), **options.pop('file', {}))
    widths = dict(in_channels=24, hidden_dim=20) | options
    return MODELS.build(dict(type='ProjectionLayer', init_cfg=init_cfg, **widths))


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp('files'), make_ibot()
    torch.save({'state_dict': model.state_dict()}, folder / 'ours.pth')
    official_file(model, folder / 'official.pth')
    backbone = {k.removeprefix('backbone.'): v for k, v in model.state_dict().items() if k.startswith('backbone.')}
    torch.save({'state_dict': backbone_to_official(backbone)}, folder / 'backbone.pth')
    torch.save(to_official(make_ibot(head=dict(norm='bn')).state_dict()), folder / 'batch_norm.pth')
    return folder, model.state_dict()


@pytest.mark.parametrize('name', ['ours.pth', 'official.pth'])
@pytest.mark.parametrize(('part', 'prefix'), [('teacher', 'tokenizer.head'), ('student', 'head')])
def test_takes_the_first_layer_of_either_network(files, name, part, prefix):
    folder, state = files
    model = neck(folder / name, file=dict(part=part))
    model.init_weights()
    assert model.layer.weight.equal(state[f'{prefix}.mlp.0.weight'])
    assert model.layer.bias.equal(state[f'{prefix}.mlp.0.bias'])


def test_output_is_what_the_heads_second_layer_reads(files):
    folder, _ = files
    pretrained = make_ibot()
    model = neck(folder / 'official.pth')
    model.init_weights()
    features = torch.randn(3, 24)
    (ours,) = model((features,))
    assert ours.allclose(pretrained.tokenizer.head.mlp[:2](features), atol=1e-5)
    assert ours.allclose(F.gelu(model.layer(features)))


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('backbone.pth', {}, r'backbone.pth has no hidden layer of .* in model.neck.init_cfg.checkpoint'),
        ('batch_norm.pth', {}, 'has a norm after its first layer'),
        ('ours.pth', {'hidden_dim': 16}, r'head.mlp.0.weight of .* is \(20, 24\), that of the model \(16, 24\)'),
    ],
)
def test_files_that_cannot_serve(files, name, options, message):
    with pytest.raises(CheckpointError, match=message):
        neck(files[0] / name, **options).init_weights()


def test_arguments_that_cannot_work(files):
    with pytest.raises(ConfigError, match="part='ema' is unknown"):
        neck(files[0] / 'ours.pth', file=dict(part='ema')).init_weights()
    with pytest.raises(ConfigError, match='hidden_dim=0'):
        neck('x', hidden_dim=0)
