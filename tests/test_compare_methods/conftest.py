from pathlib import Path

import pytest

from mim_plugin.testing.images import write_image_folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes, 16 training and 8 test images."""
    for seed, (split, count) in enumerate((('train', 8), ('val', 4))):
        write_image_folder(tmp_path / 'images' / split, per_class=count, seed=seed)
    return tmp_path / 'images'


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training is one epoch, however slow the machine is, and little is computed beside it."""
    for module in ('arms', 'tokenizers'):
        monkeypatch.setattr(f'mim_plugin.apis.compare_methods.{module}.measure_epoch', lambda *args: 1.0)
        monkeypatch.setattr(f'mim_plugin.apis.compare_methods.{module}.epochs_within', lambda *args: 1)
    # These take longer than the training.
    monkeypatch.setattr('mmengine.runner.Runner._log_env', lambda self, env_cfg: None)
    monkeypatch.setattr('mmengine.runner.Runner.dump_config', lambda self: None)
    monkeypatch.setattr('mim_plugin.apis.long_commands.runs.gc.collect', lambda: 0)
    monkeypatch.setattr('mim_plugin.apis.long_commands.frozen_features.STRENGTHS', (1.0, 0.1, 0.01))
    monkeypatch.setattr('mim_plugin.apis.long_commands.frozen_features.FOLDS', 2)
