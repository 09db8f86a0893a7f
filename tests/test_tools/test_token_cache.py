"""tools/encode_tokens.py and tools/benchmarks/token_cache.py as a user types them."""

import re

import numpy as np
import pytest

from mim_plugin.apis.benchmark_token_cache import benchmark_token_cache
from mim_plugin.errors import ConfigError

CONFIG = """
_base_ = 'mim_plugin::_base_/default_runtime.py'
train_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='TwoResolutionCrop', size=32, target_size=None),
    dict(type='BEiTMasks', patch_size=8, num_masked=6, min_per_block=2),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='ResumableSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', data_root='images', pipeline=train_pipeline),
)
model = dict(
    type='BEiT',
    backbone=dict(
        type='MIMVisionTransformer',
        arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24),
        img_size=32,
        patch_size=8,
        mask_token=True,
    ),
    tokenizer=dict(type='MeanColorTokenizer', patch_size=8, bits=2),
)
train_cfg = dict(type='ResumableEpochLoop', max_epochs=1)
optim_wrapper = dict(type='MIMOptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
"""


@pytest.fixture
def beit(workplace):
    (workplace / 'my_configs/beit.py').write_text(CONFIG)
    return workplace


def test_encode_then_train_with_the_config_that_is_named(call, beit):
    command = ('encode_tokens.py', 'my_configs/beit.py', '--out', 'tokens', '--crops', '2', '--num-workers', '1')
    done = call(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    following = re.search(r'Next: python tools/train.py (\S+)', done.stdout + done.stderr)[1]
    assert following == 'tokens/beit-cached.py'
    assert np.load(beit / 'tokens/ids-00000.npy').shape == (8, 32)

    trained = call('train.py', following)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert 'mim_acc' in trained.stdout + trained.stderr
    assert (beit / 'work_dirs/beit-cached/epoch_1.pth').is_file()


def test_benchmark_prints_both_speeds(call, beit):
    options = ('--data', 'images', '--images', '6', '--batch-size', '2', '--steps', '1', '--rounds', '2')
    done = call('benchmarks/token_cache.py', 'my_configs/beit.py', *options)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ('live', 'cached', 'ratio', 'encoding'):
        assert re.search(rf'^{name} +[0-9.]+', done.stdout, re.MULTILINE), done.stdout


def test_benchmark_of_too_few_images(beit, monkeypatch):
    monkeypatch.chdir(beit)
    with pytest.raises(ConfigError, match='6 images make no batch of 8'):
        benchmark_token_cache('my_configs/beit.py', images=6)
