import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.models.layers import DropPath


def test_samples_are_dropped_whole_and_the_mean_is_kept():
    torch.manual_seed(0)
    out = DropPath(0.25)(torch.ones(4000, 3, 2))
    assert (out == out[:, :1, :1]).all()
    kept = out[:, 0, 0] != 0
    assert torch.allclose(out[kept], torch.tensor(1 / 0.75))
    assert kept.float().mean().sub(0.75).abs() < 0.03


def test_nothing_happens_in_evaluation_or_at_rate_zero():
    x = torch.randn(4, 2)
    assert DropPath(0.5).eval()(x) is x
    assert DropPath(0.0)(x) is x


def test_every_call_draws_again():
    torch.manual_seed(0)
    drop, x = DropPath(0.5), torch.ones(64, 1)
    assert not torch.equal(drop(x), drop(x))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_the_type_is_kept(dtype):
    assert DropPath(0.5)(torch.ones(4, 2, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize('rate', [1.0, -0.1])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ConfigError, match='drop_path_rate'):
        DropPath(rate)
