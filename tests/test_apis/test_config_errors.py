import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.apis.config_errors import check_top_level_keys, explain_build_errors, read_config
from mim_plugin.errors import ConfigError, DataError


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
    with pytest.raises(ConfigError, match=r"There is no config .*ibot_vit-smal.py \(did you mean 'ibot_vit-small.py'"):
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


@pytest.fixture
def in_scope():
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        yield


def fail_to_build(**head) -> str:
    cfg = Config(dict(model=dict(head=head)))
    with pytest.raises(ConfigError) as caught, explain_build_errors(cfg):
        MODELS.build(cfg.model.head)
    return str(caught.value)


def test_unknown_type_names_key_and_neighbour(in_scope):
    message = fail_to_build(type='ProjectionHeat', in_dim=4)
    assert message.startswith("type='ProjectionHeat' (config key model.head) is not a known model of mim_plugin")
    assert "did you mean 'ProjectionHead'" in message


def test_type_of_another_package_gets_its_scope():
    with DefaultScope.overwrite_default_scope('mmengine'):
        assert "did you mean 'mim_plugin.ProjectionHead'" in fail_to_build(type='ProjectionHead', in_dim=4)


def test_unknown_argument_names_key_and_neighbour(in_scope):
    message = fail_to_build(type='mim_plugin.ProjectionHead', in_dim=4, out_dims=8)
    assert message == "ProjectionHead (config key model.head) has no argument 'out_dims' (did you mean 'out_dim'?)."


def test_missing_argument_names_key(in_scope):
    assert fail_to_build(type='ProjectionHead').startswith("ProjectionHead (config key model.head) needs 'in_dim'")


@pytest.mark.parametrize('error', [KeyError('gone'), TypeError("f() got an unexpected keyword argument 'x'")])
def test_errors_of_the_program_pass(error):
    with pytest.raises(type(error)), explain_build_errors(Config(dict(model=dict(type='IBOT')))):
        raise error


@pytest.mark.parametrize('data_root', ['data/ade', '/data/ade/'])
def test_data_that_are_not_there(data_root):
    cfg = Config(dict(val_dataloader=dict(dataset=dict(dataset=dict(type='A', data_root=data_root)))))
    missing = f'{data_root.rstrip("/")}/images'
    key = 'val_dataloader.dataset.dataset'
    start = f'{missing} does not exist, where {key} looks for its data; put them or a link there'
    with pytest.raises(DataError) as caught, explain_build_errors(cfg):
        raise FileNotFoundError(2, 'No such file or directory', missing)
    assert str(caught.value) == f'{start}, or set {key}.data_root.'
    cfg.data_root = data_root
    with pytest.raises(DataError, match='or give --cfg-options data_root=DIR'), explain_build_errors(cfg):
        raise FileNotFoundError(2, 'No such file or directory', missing)
    with pytest.raises(DataError, match=f'^{missing} does not exist'), explain_build_errors(cfg):
        raise FileNotFoundError(f"Caught FileNotFoundError in process 0.\nNo such file or directory: '{missing}'")
    for other in (FileNotFoundError('Caught'), FileNotFoundError(2, 'No such file or directory', 'data/adept')):
        with pytest.raises(FileNotFoundError), explain_build_errors(cfg):
            raise other
