from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mim_plugin.apis.long_commands.runs import set_epochs
from mim_plugin.apis.quickstart import QuickstartOptions
from mim_plugin.testing.images import write_image_folder, write_segmentation_folder

ARCH = dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48)


@pytest.fixture
def tiny_configs(tmp_path: Path) -> dict:
    """iBOT, and the two configs of the quickstart with a network of 24 channels and few, small images."""
    pretrain_path, segmentation_path = QuickstartOptions(method='ibot').configs
    pretrain = Config.fromfile(pretrain_path)
    pretrain.model.backbone.update(arch=ARCH, img_size=32)
    pretrain.model.head.update(out_dim=32, hidden_dim=32, bottleneck_dim=16)
    pretrain.num_images = 8
    pretrain.train_dataloader.batch_size = 4
    for step in (*pretrain.train_dataloader.dataset.pipeline, *pretrain.feature_pipeline):
        if step.type == 'MultiCrop':
            step.update(global_size=32, local_size=16)
        elif 'size' in step:
            step.size = 32
    pretrain.dump(tmp_path / 'tiny_pretrain.py')

    segmentation = Config.fromfile(segmentation_path)
    segmentation.model.backbone.update(arch=ARCH, img_size=64, out_indices=(0, 1, 2, 3))
    segmentation.model.neck.in_channels = 24
    segmentation.model.decode_head.update(in_channels=[24] * 4, channels=8)
    segmentation.model.auxiliary_head.update(in_channels=24, channels=8)
    segmentation.num_images = 4
    segmentation.train_dataloader.batch_size = 2
    set_epochs(segmentation, 1)
    segmentation.dump(tmp_path / 'tiny_segmentation.py')
    return {
        'method': 'ibot',
        'pretrain_config': tmp_path / 'tiny_pretrain.py',
        'segmentation_config': tmp_path / 'tiny_segmentation.py',
    }


@pytest.fixture
def tiny_beit(tmp_path: Path, tiny_configs: dict) -> dict:
    """The same of BEiT, with 4 patches an image and 8 codes."""
    cfg = Config.fromfile(QuickstartOptions(method='beit').configs[0])
    cfg.model.backbone.update(arch=ARCH, img_size=32)
    cfg.model.tokenizer.vocabulary_size = 8
    cfg.num_images = 8
    cfg.train_dataloader.batch_size = 4
    cfg.param_scheduler[0].warmup_epochs = 0
    for step in (*cfg.train_dataloader.dataset.pipeline, *cfg.feature_pipeline):
        if step.type == 'BEiTMasks':
            step.update(num_masked=2, min_per_block=1)
        elif 'size' in step:
            step.size = 32
    cfg.dump(tmp_path / 'tiny_beit.py')
    return {**tiny_configs, 'method': 'beit', 'pretrain_config': tmp_path / 'tiny_beit.py'}


@pytest.fixture
def labelled_data(tmp_path: Path) -> Path:
    """A user's folder with class folders and with masks, whose label 5 is no class."""
    root = tmp_path / 'mine'
    for seed, split in enumerate(('train', 'val')):
        write_image_folder(root / split, per_class=6, seed=seed)
    for split in ('training', 'validation'):
        write_segmentation_folder(root / 'images' / split, root / 'annotations' / split, count=4, classes=6)
    (root / 'classes.json').write_text('{"classes": ["a", "b", "c", "d", "e"]}')
    return root


@pytest.fixture
def start_checkpoint(tmp_path: Path, tiny_configs: dict) -> Path:
    """What the package ships, for the tiny network."""
    from mmengine.registry import DefaultScope

    from mim_plugin.checkpoints import export_pretrained
    from mim_plugin.registry import MODELS

    cfg = Config.fromfile(tiny_configs['pretrain_config'])
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'start.pth')
    return export_pretrained(tmp_path / 'start.pth', tmp_path / 'start.safetensors', config=cfg.model.to_dict())
