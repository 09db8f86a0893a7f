"""docs/datasets.md and docs/inference.md: their commands are ones that the tools take."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r'^python (tools/\S+\.py) (.*?[^\\])$', re.MULTILINE | re.DOTALL)
COMMANDS = [
    (page, *match.groups())
    for page in ('datasets', 'inference')
    for code in re.findall(r'```bash\n(.*?)```', (ROOT / f'docs/{page}.md').read_text(encoding='utf-8'), re.DOTALL)
    for match in COMMAND.finditer(code)
]


@pytest.mark.parametrize(('page', 'tool', 'arguments'), COMMANDS)
def test_command_is_understood(page, tool, arguments):
    namespace = runpy.run_path(str(ROOT / tool))
    assert namespace['parse_args'](shlex.split(arguments.replace('\\\n', ' ')))


def test_every_command_was_found():
    assert len(COMMANDS) == 6


def test_folders_of_the_page_are_those_of_the_configs():
    from mmengine.config import Config

    import mim_plugin  # noqa: F401  configs of the toolboxes are found
    from mim_plugin.datasets.checks.downloads import ADE20K_ROOT, COCO_ROOT

    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    segmenter = 'segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'
    detector = 'detection/ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco.py'
    for path, root in ((segmenter, ADE20K_ROOT), (detector, COCO_ROOT)):
        cfg = Config.fromfile(ROOT / 'configs' / path)
        assert cfg.data_root.rstrip('/') == cfg.train_dataloader.dataset.data_root.rstrip('/') == root
        assert f'`{root}`' in (ROOT / 'docs/datasets.md').read_text(encoding='utf-8')
