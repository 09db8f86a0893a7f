"""docs/checkpoints.md: its matrix is what the code does, its command is one that the tool takes."""

import re
import runpy
import shlex
from pathlib import Path

from mim_plugin.checkpoints.matrix import update_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs/checkpoints.md'


def test_the_matrix_is_what_the_code_does(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(PAGE.read_text(encoding='utf-8'), encoding='utf-8')
    assert not update_page(page), 'run python tools/model_converters/format_matrix.py'


def test_commands_are_understood():
    text = PAGE.read_text(encoding='utf-8')
    commands = re.findall(r'^python (tools/\S+\.py) (.*?[^\\])$', text, re.MULTILINE | re.DOTALL)
    assert commands
    for tool, arguments in commands:
        assert runpy.run_path(str(ROOT / tool))['parse_args'](shlex.split(arguments.replace('\\\n', ' ')))
    assert all((ROOT / name).exists() for name in re.findall(r'(?:tools|tests)/[\w./]+\.py', text))
