"""The page on classification names what there is."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/classification.md').read_text(encoding='utf-8')
CONFIGS = {path.name for path in (ROOT / 'configs/classification').glob('*.py')}


def test_every_config_is_in_the_table_once():
    assert sorted(re.findall(r'\(\.\./configs/classification/([^)]+\.py)\)', PAGE)) == sorted(CONFIGS)


def test_commands_name_files_that_exist():
    named = set(re.findall(r'(?<![\w./])((?:tools|configs)/[\w./-]+\.(?:py|sh))', PAGE))
    assert named and all((ROOT / name).is_file() for name in named)


def test_list_of_models():
    models = yaml.safe_load((ROOT / 'configs/classification/metafile.yml').read_text())['Models']
    assert {Path(entry['Config']).name for entry in models} <= CONFIGS
    assert {entry['Name'] for entry in models} == {Path(entry['Config']).stem for entry in models}
    for entry in [entry for entry in models if 'Results' in entry]:  # the same figure as in the table
        (figure,) = entry['Results'][0]['Metrics'].values()
        (row,) = [line for line in PAGE.splitlines() if Path(entry['Config']).name in line and line.startswith('|')]
        assert str(figure) in row.split('|')[-2]
