"""The page on models says what the metafiles say, and these what the tools of OpenMMLab expect."""

import re
from pathlib import Path

import pytest
import yaml

from mim_plugin.apis.model_tables import fill_tables, table_of
from mim_plugin.apis.models import recipes
from mim_plugin.errors import DataError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/model_zoo.md').read_text(encoding='utf-8')
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
MODELS = {model['Name']: model for model in recipes().values()}


def test_tables_are_those_of_the_metafiles():
    assert fill_tables(PAGE) == PAGE, 'run python tools/model_zoo.py'


def test_a_page_without_a_table_is_refused():
    with pytest.raises(DataError, match='the metafiles are in'):
        fill_tables(PAGE.replace('<!-- table: dino -->', ''))


def test_a_row_tells_figures_their_source_and_weights():
    (row,) = [line for line in table_of('ibot').splitlines() if '/ibot_vit-small-p16_16xb64-coslr-800e_in1k.py' in line]
    assert '800 epochs of ImageNet-1k, batch 1024' in row
    assert 'k-NN Top 1 Accuracy 75.2, Linear Top 1 Accuracy 77.9 (quoted, iBOT Table 1)' in row
    assert f'[vits_16/checkpoint_teacher.pth]({MODELS["ibot_vit-small-p16_16xb64-coslr-800e_in1k"]["Weights"]})' in row


def test_commands_and_links_name_what_exists():
    for name in re.findall(r'(?<![\w./])((?:tools|configs)/[\w./-]+\.(?:py|sh))', PAGE):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r'\]\((\.\./[^)]+)\)', PAGE):
        assert (ROOT / 'docs' / name).exists(), name


def test_every_metafile_is_in_the_index():
    assert sorted(INDEX) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').glob('*/metafile.yml'))


@pytest.mark.parametrize('name', MODELS)
def test_figures_and_weights_name_their_source(name):
    model = MODELS[name]
    assert ('Results' in model) == ('Results From' in model)
    assert ('Weights' in model) == ('Weights From' in model)
    for result in model.get('Results', []):
        assert result.keys() == {'Task', 'Dataset', 'Metrics'} and result['Metrics']
        assert all(isinstance(value, (int, float)) for value in result['Metrics'].values())
    assert model.get('Results From', 'quoted, ').startswith(('quoted, ', 'measured, '))
    assert re.fullmatch(
        r'external, https://github\.com/\S+', model.get('Weights From', 'external, https://github.com/a')
    )
    if 'Shipped Weights' in model:
        assert 'Weights' not in model and (ROOT / 'mim_plugin' / model['Shipped Weights']).is_file()


@pytest.mark.parametrize('name', MODELS)
def test_mim_finds_config_and_weights(name):
    """What `mim download` needs: one config below .mim, one address whose last part is the file's name."""
    model = MODELS[name]
    assert (ROOT / 'mim_plugin/.mim' / model['Config']).is_file() and Path(model['Config']).stem == name
    assert name == name.lower()  # mim searches by names in small letters
    if 'Weights' in model:
        assert re.fullmatch(r'https://[^\s,?#]+/[\w.-]+\.(pth|safetensors)', model['Weights'])


def test_collections_exist_once():
    files = [yaml.safe_load((ROOT / name).read_text()) for name in INDEX]
    names = [entry['Name'] for content in files for entry in content.get('Collections', [])]
    assert len(names) == len(set(names)) and {model['In Collection'] for model in MODELS.values()} == set(names)
    assert len(MODELS) == len(recipes())


def test_the_parser_of_openmmlab_has_no_objection():
    load = pytest.importorskip('modelindex.load_model_index').load
    index = load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    models = {model.name: model for model in index.models}
    assert models.keys() == MODELS.keys()
    for name, model in models.items():
        assert not model.check_errors, name
        assert model.weights == MODELS[name].get('Weights') and model.config == MODELS[name]['Config']
