import pytest
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS

from mim_plugin.apis.config_errors import check_top_level_keys, explain_build_errors, read_config
from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('optim_wraper', 'optim_wrapper'),
        ('param_schedulers', 'param_scheduler'),
        ('train_dataloder', 'train_dataloader'),
        ('custom_hook', 'custom_hooks'),
    ],
)
def test_misspelt_key_names_the_right_one(key, meant):
    with pytest.raises(ConfigError, match=f"'{key}' has no effect; did you mean '{meant}'"):
        check_top_level_keys(Config({'model': {}, key: {}}))


def test_intermediate_values_are_allowed():
    names = 'data_root dataset_type train_pipeline test_pipeline crop_size norm_cfg img_ratios vis_backends max_epochs'
    check_top_level_keys(Config(dict.fromkeys(names.split(), 1)))


def test_missing_config_names_a_similar_one(tmp_path):
    (tmp_path / 'ibot_vit-small.py').write_text('a = 1')
    with pytest.raises(ConfigError, match=r'There is no config .*ibot_vit-smal.py \(did you mean .*ibot_vit-small.py'):
        read_config(str(tmp_path / 'ibot_vit-smal.py'))


@pytest.mark.parametrize(
    'text', ['a = (1', "_base_ = './gone.py'", "_base_ = 'nopackage::_base_/x.py'", 'a = unknown_name']
)
def test_config_that_cannot_be_read_is_one_message(tmp_path, text):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    with pytest.raises(ConfigError, match='broken.py cannot be read') as caught:
        read_config(str(path))
    assert '\n' not in str(caught.value)


def test_unknown_type_names_key_and_neighbour():
    cfg = Config(dict(model=dict(head=dict(type='ProjectionHeat', in_dim=4))))
    with (
        pytest.raises(ConfigError, match=r"type='ProjectionHeat' \(config key model.head\).*'ProjectionHead'"),
        explain_build_errors(cfg),
    ):
        MODELS.build(cfg.model.head)


def test_unknown_argument_names_key_and_neighbour():
    cfg = Config(dict(model=dict(head=dict(type='mim_plugin.ProjectionHead', in_dim=4, out_dims=8))))
    with (
        pytest.raises(ConfigError, match=r"\(config key model.head\) has no argument 'out_dims'.*'out_dim'"),
        explain_build_errors(cfg),
    ):
        ROOT_MODELS.build(cfg.model.head)


def test_missing_argument_names_key():
    cfg = Config(dict(model=dict(head=dict(type='ProjectionHead'))))
    with (
        pytest.raises(ConfigError, match=r"ProjectionHead \(config key model.head\) needs 'in_dim'"),
        explain_build_errors(cfg),
    ):
        MODELS.build(cfg.model.head)


@pytest.mark.parametrize('error', [KeyError('gone'), TypeError("f() got an unexpected keyword argument 'x'")])
def test_errors_of_the_program_pass(error):
    with pytest.raises(type(error)), explain_build_errors(Config(dict(model=dict(type='IBOT')))):
        raise error
