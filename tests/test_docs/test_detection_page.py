"""docs/detection.md: its configs are as it says, and the one for own objects trains."""

import math
import re
from pathlib import Path

import pytest
from mmengine.config import Config

import mim_plugin  # noqa: F401  configs of the toolboxes are found
from mim_plugin.apis.run import build_runner, prepare_config
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/detection.md').read_text(encoding='utf-8')


@pytest.mark.ops
def test_own_objects_train_and_are_tested(tmp_path, monkeypatch):
    pytest.importorskip('mmdet')
    monkeypatch.setattr(Config, 'pretty_text', '')  # formatting it takes longer than the run
    (snippet,) = (code for code in re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL) if '_base_' in code)
    (tmp_path / 'screws.py').write_text(snippet)
    cfg = Config.fromfile(tmp_path / 'screws.py')
    assert cfg.val_evaluator.ann_file == 'data/screws/val.json'
    cfg = prepare_config(shrink(cfg, tmp_path / 'data'), work_dir=str(tmp_path / 'work'))
    cfg.experiment_name = tmp_path.name
    cfg.train_cfg.max_epochs = 1
    runner = build_runner(cfg)
    runner.train()
    assert runner.model.roi_head.bbox_head.fc_cls.out_features == 3
    assert runner.train_dataloader.dataset.metainfo['classes'] == ('screw', 'nut')
    assert math.isfinite(runner.message_hub.get_scalar('val/coco/segm_mAP').current())


def test_options_of_the_table_name_keys_that_exist():
    options = re.findall(r'--cfg-options ([\w.]+)=', PAGE)
    cfg = Config.fromfile(ROOT / 'configs/detection/ibot_vit-small-p16_cascade-mask-rcnn_8xb4-1x_coco.py')
    for option in options:
        *path, last = option.split('.')
        entry = cfg
        for key in path:
            entry = entry[int(key)] if key.isdigit() else entry[key]
        assert last in entry or last == 'with_cp', option
    assert len(options) >= 6
