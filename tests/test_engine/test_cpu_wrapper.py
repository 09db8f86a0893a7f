import pytest
import torch
from mmengine.model import BaseModel, is_model_wrapper
from torch import nn

from mim_plugin.engine import CPUDistributedDataParallel


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.norm = nn.SyncBatchNorm(3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.norm(inputs)


@pytest.fixture
def one_process(tmp_path):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/meeting', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_sync_batch_norm_becomes_batch_norm(one_process):
    model = CPUDistributedDataParallel(Model(), device_ids=[0], broadcast_buffers=False)
    assert is_model_wrapper(model)
    assert not any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules())
    out = model(torch.randn(4, 3, 5, 5))
    assert out.mean().abs() < 1e-5
