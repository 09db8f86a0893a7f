import logging

import pytest
import torch

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats import ibot
from mim_plugin.errors import CheckpointError
from mim_plugin.registry import MODELS
from tests.test_checkpoints.tiny import BACKBONE, assert_same, make_backbone, make_ibot, official_file


@pytest.fixture
def files(tmp_path):
    """The same two networks in every layout."""
    model = make_ibot(seed=1)
    state = model.state_dict()
    official = ibot.to_official(state)
    teacher = {n.removeprefix('backbone.'): v for n, v in official['teacher'].items() if n.startswith('backbone.')}
    contents = {
        'ours': {'state_dict': state, 'meta': {}},
        'wrapped': {'state_dict': {f'module.{n}': v for n, v in state.items()}},
        'official_backbone': {'state_dict': teacher},
        'official_flat': teacher,
        'official_wrapped': {'model': {f'module.{n}': v for n, v in teacher.items()}},
        'bare': model.tokenizer.backbone.state_dict(),
        'downstream': {
            'state_dict': {
                **{f'backbone.{n}': v for n, v in model.tokenizer.backbone.state_dict().items()},
                'decode_head.conv.weight': torch.zeros(1),
            }
        },
    }
    for name, content in contents.items():
        torch.save(content, tmp_path / f'{name}.pth')
    official_file(model, tmp_path / 'official.pth')
    return model, tmp_path


@pytest.mark.parametrize(
    'name',
    ['ours', 'wrapped', 'official', 'official_backbone', 'official_flat', 'official_wrapped', 'bare', 'downstream'],
)
def test_a_backbone_takes_the_teacher_of_any_file(files, name):
    model, folder = files
    backbone = make_backbone()
    report = load_pretrained(backbone, folder / f'{name}.pth')
    assert_same(backbone.state_dict(), model.tokenizer.backbone.state_dict())
    assert not report.kept and not report.mismatched


@pytest.mark.parametrize('name', ['ours', 'official'])
def test_or_the_student_on_request(files, name):
    model, folder = files
    backbone = make_backbone()
    report = load_pretrained(backbone, folder / f'{name}.pth', part='student')
    assert_same(backbone.state_dict(), model.backbone.state_dict())
    assert report.unused == ['mask_token'] and 'student' in str(report)


@pytest.mark.parametrize('name', ['ours', 'official'])
def test_a_head_and_a_whole_algorithm(files, name):
    model, folder = files
    head = MODELS.build({'type': 'ProjectionHead', 'in_dim': 24, 'out_dim': 16, 'hidden_dim': 20, 'bottleneck_dim': 8})
    load_pretrained(head, folder / f'{name}.pth')
    assert_same(head.state_dict(), model.tokenizer.head.state_dict())
    other = make_ibot(seed=2)
    report = load_pretrained(other, folder / f'{name}.pth')
    assert_same(other.state_dict(), model.state_dict())
    assert not report.kept and 'student and teacher' in str(report)


def test_an_algorithm_takes_one_network_for_both(files):
    model, folder = files
    other = make_ibot(seed=2)
    before = {n: v.clone() for n, v in other.state_dict().items()}
    report = load_pretrained(other, folder / 'official_backbone.pth')
    after = other.state_dict()
    for name, value in model.tokenizer.backbone.state_dict().items():
        assert torch.equal(after[f'backbone.{name}'], value) and torch.equal(after[f'tokenizer.backbone.{name}'], value)
    assert_same(after, before, ['head.mlp.0.weight', 'loss_module.center', 'backbone.mask_token'])
    assert 'head.mlp.0.weight' in report.kept and not any('tokenizer' in name for name in report.kept)
    assert torch.equal(after['tokenizer.head.mlp.0.weight'], after['head.mlp.0.weight'])


def test_positions_are_resized_and_reported(files):
    model, folder = files
    backbone = make_backbone(img_size=(48, 64))
    report = load_pretrained(backbone, folder / 'official.pth')
    assert backbone.pos_embed.shape == (1, 49, 24) and '(1, 17, 24) -> (1, 49, 24)' in str(report)
    source = model.tokenizer.backbone.pos_embed
    assert torch.equal(backbone.pos_embed[:, 0], source[:, 0])
    grid = source[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    wanted = torch.nn.functional.interpolate(grid, (6, 8), mode='bicubic').flatten(2).transpose(1, 2)
    torch.testing.assert_close(backbone.pos_embed[:, 1:], wanted)


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'relative_bias': 'shared', 'pos_embed': None},
        {'relative_bias': 'per_block', 'num_registers': 2},
        {'relative_bias': 'both'},
    ],
)
@pytest.mark.parametrize('size', [(48, 64), (24, 24), (40, 32)])
def test_resizing_at_load_and_in_each_pass_are_the_same(options, size):
    trained = random_backbone(**options)
    loaded = make_backbone(img_size=size, **options).eval()
    report = load_pretrained(loaded, trained.state_dict())
    assert report.resized == [
        f'{name} {tuple(value.shape)} -> {tuple(loaded.state_dict()[name].shape)}'
        for name, value in trained.state_dict().items()
        if name.endswith(('pos_embed', 'bias_table'))
    ]
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(loaded(images), trained(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loaded.forward_tokens(images), trained.forward_tokens(images), atol=1e-5, rtol=1e-5)


def test_the_table_of_a_pretraining_is_spread_and_resized():
    trained = random_backbone(relative_bias='shared', pos_embed=None)
    loaded = make_backbone(img_size=(48, 40), relative_bias='per_block', pos_embed=None).eval()
    report = load_pretrained(loaded, trained.state_dict())
    assert len(report.resized) == 2 and not report.kept and not report.unused
    images = torch.randn(1, 3, 48, 40)
    torch.testing.assert_close(loaded(images), trained(images), atol=1e-5, rtol=1e-5)


def random_backbone(**options):
    backbone = make_backbone(**options).eval()
    with torch.no_grad():
        for value in backbone.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return backbone


@pytest.mark.parametrize('options', [{}, {'relative_bias': 'per_block', 'pos_embed': None}])
def test_rectangles_of_a_file_are_not_guessed(options):
    wide = make_backbone(img_size=(16, 48), **options)
    name = 'pos_embed' if not options else 'layers.0.attn.relative_position_bias_table'
    message = rf'shapes differ: {name} \(file .*set img_size to what it was trained on'
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(make_backbone(**options), wide.state_dict())


def test_another_patch_size_is_named(files):
    _, folder = files
    message = r'ours\.pth.*patch_embed\.projection\.weight \(file .*8 pixels, those of the model 16: set patch_size=8'
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(make_backbone(patch_size=16), folder / 'ours.pth')
    backbone = make_backbone(patch_size=16, init_cfg={'type': 'Pretrained', 'checkpoint': str(folder / 'ours.pth')})
    with pytest.raises(CheckpointError, match=message):
        backbone.init_weights()


def test_what_does_not_fit_is_listed_with_shapes(files):
    _, folder = files
    deeper = make_backbone(arch={**BACKBONE['arch'], 'num_layers': 3, 'feedforward_channels': 40})
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(deeper, folder / 'official.pth')
    message = str(caught.value)
    assert 'layers.0.ffn.layers.0.0.weight (file (48, 24), model (40, 24))' in message
    assert 'layers.2.' in message and 'strict=False' in message
    report = load_pretrained(deeper, folder / 'official.pth', strict=False)
    assert len(report.mismatched) == 6 and any('layers.2.' in name for name in report.kept)
    wider = make_backbone(arch={**BACKBONE['arch'], 'embed_dims': 48})
    with pytest.raises(CheckpointError, match=r'architecture in the config \(of the file: embed_dims=24\)\.$'):
        load_pretrained(wider, folder / 'official.pth')  # strict=False would leave nearly everything out
    shallower = make_backbone(arch={**BACKBONE['arch'], 'num_layers': 1})
    with pytest.raises(CheckpointError, match=r'not in the model: layers\.1\.'):
        load_pretrained(shallower, folder / 'ours.pth')


def test_a_missing_norm_of_one_block_is_not_overlooked(files):
    _, folder = files
    state = dict(torch.load(folder / 'bare.pth'))
    del state['layers.1.ln2.weight']
    with pytest.raises(CheckpointError, match=r'not in the file: layers\.1\.ln2\.weight'):
        load_pretrained(make_backbone(), state)


def test_a_backbone_for_raw_tokens_has_no_use_for_the_final_norm(files):
    _, folder = files
    report = load_pretrained(make_backbone(final_norm='none'), folder / 'official.pth')
    assert report.unused == ['ln1.weight', 'ln1.bias']


def test_a_shared_head_refuses_two_different_layers(tmp_path):
    official_file(make_ibot(head={'shared': False}), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='last_layer2'):
        load_pretrained(make_ibot(), tmp_path / 'a.pth')


@pytest.mark.parametrize('strict', [True, False])
def test_another_width_is_told_by_shapes(strict):
    with pytest.raises(CheckpointError, match=r'shapes differ: weight \(file \(4, 4\), model \(2, 2\)\)'):
        load_pretrained(torch.nn.Linear(2, 2), {'state_dict': torch.nn.Linear(4, 4).state_dict()}, strict=strict)


def test_nothing_in_common(files):
    _, folder = files
    with pytest.raises(CheckpointError, match='Nothing in'):
        load_pretrained(torch.nn.Conv2d(1, 1, 1), folder / 'official.pth')
    with pytest.raises(CheckpointError, match='no weights'):
        load_pretrained(make_backbone(), {'epoch': 3})
    with pytest.raises(CheckpointError, match="part='both'"):
        load_pretrained(make_backbone(), folder / 'official.pth', part='both')


def test_a_prefix_chooses_by_hand(files):
    model, folder = files
    backbone = make_backbone()
    load_pretrained(backbone, folder / 'ours.pth', prefix='backbone', strict=True)
    assert_same(backbone.state_dict(), model.backbone.state_dict())


def test_buffers_of_the_window_are_never_loaded():
    backbone = make_backbone(relative_bias='per_block', pos_embed=None)
    state = {n: v.clone() for n, v in backbone.state_dict().items()}
    state['layers.0.attn.relative_position_index'] = torch.zeros(3, 3, dtype=torch.int64)
    report = load_pretrained(backbone, state)
    assert not report.unused and not report.mismatched


def test_init_cfg_and_the_one_line_report(files, caplog):
    model, folder = files
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(folder / 'official.pth'), 'part': 'student'}
    backbone = make_backbone(init_cfg=init_cfg)
    backbone.init_weights()
    assert_same(backbone.state_dict(), model.backbone.state_dict())
    logger = logging.getLogger('here')
    with caplog.at_level(logging.INFO, 'here'):
        load_pretrained(backbone, folder / 'official.pth', logger=logger)
    assert len(caplog.messages) == 1 and 'official.pth' in caplog.messages[0]
    assert '\n' not in caplog.messages[0]


def test_a_file_without_weights_is_named(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r"a\.pth has no weights, only the keys \['epoch'\]"):
        load_pretrained(make_backbone(), tmp_path / 'a.pth')
    torch.save({'w': torch.ones(2)}, tmp_path / 'b.pth')
    with pytest.raises(CheckpointError, match='the file has no such part, the model wants cls_token'):
        load_pretrained(make_backbone(), tmp_path / 'b.pth')


def test_the_settings_that_a_file_needs_are_named():
    options = {'pos_embed': None, 'relative_bias': 'per_block', 'qkv_bias': 'qv', 'layer_scale': 0.1}
    with pytest.raises(CheckpointError, match=r"pos_embed=None, relative_bias='per_block', qkv_bias='qv', layer"):
        load_pretrained(make_backbone(), make_backbone(**options).state_dict())
    with pytest.raises(CheckpointError, match=r'\(of the file: num_registers=4\)'):
        load_pretrained(make_backbone(), make_backbone(num_registers=4).state_dict())


def test_heads_of_another_size_name_both_ways_out(tmp_path):
    model = make_ibot(seed=1, head={'out_dim': 24})
    file = official_file(model, tmp_path / 'full.pth')
    with pytest.raises(CheckpointError, match='its heads have 24 prototypes, those of the model 16: set model'):
        load_pretrained(make_ibot(), file)
    load_pretrained(make_ibot(head={'out_dim': 24}), file)
    backbone = make_backbone(mask_token=True)
    report = load_pretrained(backbone, file)  # what model.backbone.init_cfg does
    assert 'official iBOT' in report.source and report.kept == ['mask_token']

    # DINO's files: no second head, no mask token.
    content = torch.load(file, weights_only=False)
    content['student'] = {n: v for n, v in content['student'].items() if 'last_layer2' not in n and 'masked' not in n}
    assert 'official DINO checkpoint, teacher' in load_pretrained(backbone, content).source
