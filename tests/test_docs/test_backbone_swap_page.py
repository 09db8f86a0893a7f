"""docs/backbone_swap.md shows what its config says, and links to what is there."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/backbone_swap.md').read_text(encoding='utf-8')
CONFIG = ROOT / 'configs/segmentation/ibot_vit-small-p16_fcn_4xb4-20k_voc12-512x512.py'


def test_the_worked_example_is_the_config():
    shown, written = {}, runpy.run_path(str(CONFIG))
    exec(re.search(r'```python\n(.*?)```', PAGE, re.DOTALL)[1], shown)
    for one in (shown, written):
        one['model']['backbone']['init_cfg'].pop('checkpoint')
    assert shown['_base_'] == written['_base_']
    assert shown['model'] == written['model']


def test_links_and_commands_name_files_that_exist():
    links = re.findall(r'\]\(([^)]+)\)', PAGE)
    assert links and all((ROOT / 'docs' / link).exists() for link in links)
    commands = set(re.findall(r'(?<![\w./])((?:tools|configs)/[\w./-]+\.(?:py|sh))', PAGE))
    assert commands and all((ROOT / name).is_file() for name in commands)
    for name in ('swap_mmseg.py', 'swap_mmdet.py', 'swap_mmpretrain.py'):
        assert name in PAGE and (ROOT / 'tests/data' / name).is_file()
