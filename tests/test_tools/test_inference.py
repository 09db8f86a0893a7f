"""tools/inference.py as a user types it."""

import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.errors import CheckpointError
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]


@pytest.fixture
def segmenter(workplace):
    """Config and checkpoint of a tiny segmenter."""
    pytest.importorskip('mmseg')
    path = ROOT / 'configs/segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py'
    cfg = shrink(Config.fromfile(path), workplace / 'generated')
    with DefaultScope.overwrite_default_scope('mmseg'):
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), workplace / 'weights.pth')
    cfg.dump(workplace / 'config.py')
    return 'config.py', 'weights.pth'


def test_folder_and_image_are_drawn_and_described(call, workplace, segmenter, monkeypatch):
    monkeypatch.chdir(workplace)
    (workplace / 'images/class_0/4.jpg').write_bytes(b'no picture')
    done = call('inference.py', 'images/class_0', 'images/class_1/0.jpg', *segmenter, '--out-dir', 'drawn')
    assert done.returncode == 1, done.stderr[-2000:]
    assert '1 of 6 images cannot be read' in done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith('images/')]
    images = [f'images/class_0/{number}.jpg' for number in range(5)] + ['images/class_1/0.jpg']
    assert [line.partition(': ')[0] for line in lines] == images
    assert [line for line in lines if ' %' not in line] == ['images/class_0/4.jpg: cannot be read']
    assert len(list((workplace / 'drawn').rglob('*.jpg'))) == 5
    # The same weights for another architecture, in this process: an error, not a partial load.
    tool = runpy.run_path(str(ROOT / 'tools/inference.py'))
    options = ['--cfg-options', 'model.decode_head.num_classes=7']
    with pytest.raises(CheckpointError, match='weights.pth does not fit the EncoderDecoder'):
        tool['main'](['images', *segmenter, *options])
