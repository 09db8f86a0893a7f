"""Models by name, and the weights published for them; nothing is fetched from the net."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import mim_plugin
from mim_plugin.apis import models
from mim_plugin.checkpoints import read_checkpoint
from mim_plugin.checkpoints.formats.ibot import to_official
from mim_plugin.errors import CheckpointError, ConfigError

ROOT = Path(__file__).parents[2]
SMALL = 'ibot_vit-small-p16_16xb64-coslr-800e_in1k'
SHIPPED = 'ibot_vit-mini-p16'
# A model of a config in a size for tests.
TINY = dict(
    backbone=dict(arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48), img_size=32),
    head=dict(in_dim=24, out_dim=16, hidden_dim=20, bottleneck_dim=8),
)


def test_names_are_those_of_configs_and_of_shipped_checkpoints():
    names = mim_plugin.list_models()
    assert names == sorted(set(names))
    paths = [path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts]
    assert len(names) == len(paths) + 1
    assert {name.rpartition('/')[2] for name in names} == {path.stem for path in paths} | {SHIPPED}
    assert models.config_path(SHIPPED).parent.parent.name == 'zoo'  # a config of the same name has its folder before it
    assert {models.config_path(name) for name in names} >= set(paths)
    assert all(models.config_path(f'{path.parent.name}/{path.stem}') == path for path in paths)


def test_patterns():
    assert mim_plugin.list_models('dino_vit-small*in1k', exclude='*300e*') == [
        'dino_vit-small-p16_16xb64-coslr-800e_in1k'
    ]
    assert mim_plugin.list_models('*_ablation/dino_') == mim_plugin.list_models('dino_*300e_in1k')
    assert not mim_plugin.list_models('ibot', exclude=['ibot', 'nothing'])


def test_names_with_published_weights():
    names = mim_plugin.list_models(pretrained=True)
    assert {SMALL, SHIPPED, 'beit_vit-base-p16_16xb128-coslr-150e_in22k'} <= set(names) < set(mim_plugin.list_models())
    for name in names:
        weights = models.published_weights(name)
        assert weights.startswith('https://') if SHIPPED not in name else Path(weights).is_file()


@pytest.mark.parametrize('name', [SHIPPED, 'ibot_vit-mini-p16_1xb64-150e_mixed'])
def test_shipped_checkpoint(name):
    model = mim_plugin.get_model(name, pretrained=True)
    expected = read_checkpoint(models.published_weights(SHIPPED))['state_dict']
    state = model.tokenizer.state_dict()
    assert sum(torch.equal(state[key], value.float()) for key, value in expected.items() if key in state) == len(state)
    assert not model.training and model.cfg.model.type == 'IBOT'
    assert model.extract_feat(torch.zeros(1, 3, 64, 64)).shape == (1, 128)


def test_a_shipped_checkpoint_that_was_changed(monkeypatch):
    config = models.config_path('ibot_vit-mini-p16_1xb64-150e_mixed')
    monkeypatch.setitem(models.recipes(), config, {**models.recipes()[config], 'SHA-256': '0123abcd'})
    with pytest.raises(CheckpointError, match='begins with 837bf33f, the list of models says 0123abcd; delete it'):
        mim_plugin.get_model(SHIPPED, pretrained=True)


def test_without_weights_no_file_is_read(monkeypatch):
    monkeypatch.setattr(torch, 'load', None)
    monkeypatch.setattr('mim_plugin.checkpoints.read.safe_open', None)
    model = mim_plugin.get_model(SMALL, **TINY)
    assert model.backbone.embed_dims == 24 and len(model.backbone.layers) == 2


@pytest.fixture
def teacher(tmp_path):
    """A published file of a tiny iBOT, with the name and in the layout of the authors'."""
    torch.manual_seed(0)
    model = mim_plugin.get_model(SMALL, **TINY)
    content = to_official(model.state_dict())['teacher']
    path = tmp_path / 'vits_16/checkpoint_teacher.pth'
    path.parent.mkdir()
    backbone = {key.removeprefix('backbone.'): v for key, v in content.items() if key.startswith('backbone.')}
    torch.save({'state_dict': backbone}, path)
    return model, path


def publish_at(monkeypatch, address):
    recipe = {**models.recipes()[models.config_path(SMALL)], 'Weights': address}
    monkeypatch.setitem(models.recipes(), models.config_path(SMALL), recipe)


def test_published_weights_are_fetched_and_kept(monkeypatch, tmp_path, teacher):
    source, path = teacher
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    publish_at(monkeypatch, path.as_uri())
    for _ in range(2):  # the second time it is there
        model = mim_plugin.get_model(SMALL, pretrained=True, **TINY)
        for key, value in source.tokenizer.backbone.state_dict().items():
            assert torch.equal(model.backbone.state_dict()[key], value), key
        path.unlink(missing_ok=True)


def test_a_file_of_ones_own(teacher):
    source, path = teacher
    model = mim_plugin.get_model(SMALL, pretrained=path, **TINY)
    assert torch.equal(
        model.backbone.layers[1].ffn.layers[1].weight, source.tokenizer.backbone.layers[1].ffn.layers[1].weight
    )
    with pytest.raises(CheckpointError, match='does not exist'):
        mim_plugin.get_model(SMALL, pretrained='nowhere.pth', **TINY)


@pytest.mark.parametrize('pretrained', ['', 1, 3.5, {'w': torch.ones(1)}])
def test_what_is_no_file_is_refused(pretrained):
    with pytest.raises(ConfigError, match='is neither True nor False, and no path or address'):
        mim_plugin.get_model(SMALL, pretrained=pretrained, **TINY)


def test_a_published_file_that_is_another(monkeypatch, tmp_path, teacher):
    _, path = teacher
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    publish_at(monkeypatch, path.rename(path.with_name('teacher-0123abcd.pth')).as_uri())
    with pytest.raises(CheckpointError, match='its name says 0123abcd; delete it and download or install it again'):
        mim_plugin.get_model(SMALL, pretrained=True, **TINY)


def test_weights_that_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    publish_at(monkeypatch, 'http://127.0.0.1:9/vits_16/checkpoint_teacher.pth')
    with pytest.raises(CheckpointError, match='could not be downloaded .*by hand'):
        mim_plugin.get_model(SMALL, pretrained=True, **TINY)
    with pytest.raises(
        CheckpointError, match='No weights are published for ibot_vit-small-p16_16xb64-coslr-160e_in22k'
    ):
        mim_plugin.get_model('ibot_vit-small-p16_16xb64-coslr-160e_in22k', pretrained=True)


def test_file_of_another_model(teacher):
    _, path = teacher
    other = {**TINY, 'backbone': {**TINY['backbone'], 'patch_size': 8}}
    with pytest.raises(CheckpointError, match='set patch_size=16'):
        mim_plugin.get_model(SMALL, pretrained=path, **other)


def test_names_that_do_not_exist():
    with pytest.raises(ConfigError, match=f'did you mean {SMALL}'):
        mim_plugin.get_model(SMALL.replace('small', 'smal'))
    with pytest.raises(ConfigError, match='did you mean ibot_ablation/dino_.* or tokenizer_ablation/dino_'):
        mim_plugin.get_model('dino_vit-small-p16_16xb64-coslr-300e_in1k')
    with pytest.raises(ConfigError, match='list_models'):
        mim_plugin.get_model('?')


def test_options_that_do_not_exist():
    with pytest.raises(ConfigError, match='no_such_option'):
        mim_plugin.get_model(SMALL, no_such_option=1)


def test_a_segmentor_with_a_file_of_its_training(tmp_path):
    pytest.importorskip('mmseg')
    name = 'upernet_vit-mini-p16_1xb16-20e_scenes-128x128'
    torch.manual_seed(1)
    source = mim_plugin.get_model(name)
    torch.save({'state_dict': source.state_dict(), 'meta': {}}, tmp_path / 'epoch_20.pth')
    torch.manual_seed(2)
    model = mim_plugin.get_model(name, pretrained=tmp_path / 'epoch_20.pth')
    assert type(model).__name__ == 'EncoderDecoder'
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_missing_toolbox_is_named(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name, package=None: None)
    with pytest.raises(ConfigError, match='mmseg is not installed'):
        mim_plugin.get_model('upernet_vit-mini-p16_1xb16-20e_scenes-128x128')


def test_the_names_cost_nothing_until_they_are_used():
    code = 'import sys, mim_plugin; print("mim_plugin.apis" in sys.modules, "get_model" in dir(mim_plugin))'
    assert subprocess.check_output([sys.executable, '-c', code], text=True).split() == ['False', 'True']
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mim_plugin.nothing  # noqa: B018


@pytest.mark.parametrize('name', mim_plugin.list_models(pretrained=True))
def test_recipe_with_published_weights_builds_its_model(name):
    cfg = Config.fromfile(models.config_path(name))
    scope = cfg.get('default_scope', 'mim_plugin')
    if scope != 'mim_plugin':
        pytest.importorskip(scope)
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        assert sum(p.numel() for p in MODELS.build(cfg.model).parameters()) > 1e5
