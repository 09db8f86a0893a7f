"""Training a discrete autoencoder: its objective, what it logs, and that it learns."""

import pytest
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.models.losses.dvae import kl_to_uniform
from mim_plugin.registry import MODELS

STRIDED = dict(type='StridedDVAE', vocabulary_size=16, codebook_dim=8, num_layers=2, hidden_dim=12, out_channels=6)
DALLE = dict(type='DALLEDVAE', vocabulary_size=16, hidden_dim=8, blocks_per_group=1, init_dim=8)


def dvae(network=STRIDED, **changes):
    return MODELS.build(dict(type='DiscreteVAE', network=network, **changes))


def test_the_prior_is_weighed_by_image_and_by_value():
    model = dvae(kl_weight=3.0)
    images = torch.rand(2, 3, 16, 8)
    losses = model(images, mode='loss')
    kl = kl_to_uniform(model(images)).mean()
    assert losses['loss_kl'].item() == pytest.approx(3.0 * kl.item() / (3 * 16 * 8), rel=1e-5)
    assert losses['kl'].item() == pytest.approx(kl.item() / (4 * 2), rel=1e-5)
    assert not losses['kl'].requires_grad


def test_reconstruction_is_the_mean_over_values_at_a_cold_temperature():
    torch.manual_seed(0)
    model = dvae(dict(STRIDED, out_channels=3), pixel_law='l2', temperature=1e-4)
    model.network.encoder[-1].weight.data.mul_(1e4)  # so sure that the noise changes no code
    images = torch.rand(2, 3, 16, 16)
    error = (2 * model(images, mode='predict') - 2 * images).square().mean()
    assert model(images, mode='loss')['loss_recon'].item() == pytest.approx(error.item(), rel=0.05)


def test_codes_are_counted_until_the_reset():
    model = dvae()
    for _ in range(2):
        losses = model(torch.rand(3, 3, 16, 16), mode='loss')
    assert 1 <= losses['perplexity'] <= 16 and 0 < losses['codes_used'] <= 100
    assert model.reset_code_counts().sum() == 2 * 3 * 16
    assert model.code_counts.sum() == 0
    assert 'code_counts' not in model.state_dict()


@pytest.mark.parametrize('network', [STRIDED, DALLE])
def test_views_of_the_loader_are_read_and_every_parameter_learns(network):
    model = dvae(network)
    crops = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    views = model.data_preprocessor({'inputs': {'global': [crops], 'local': []}}, True)['inputs']
    assert views['global'].min() >= 0 and views['global'].max() <= 1
    total, _ = model.parse_losses(model(views, mode='loss'))
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_it_learns_a_toy_and_uses_its_codes():
    torch.manual_seed(0)
    model = dvae(kl_weight=0.5)
    squares = torch.rand(64, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    images = squares.expand(-1, 3, -1, -1)  # four grey squares each
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    errors = []
    for step in range(120):
        model.temperature = max(1 / 16, 1 - step / 80)
        losses = model(images[torch.randperm(64)[:16]], mode='loss')
        errors.append(losses['loss_recon'].item())
        optimizer.zero_grad()
        (losses['loss_recon'] + losses['loss_kl']).backward()
        optimizer.step()
    assert sum(errors[-10:]) / 10 < errors[0] - 0.5
    model.reset_code_counts()
    model(images, mode='loss')
    assert (model.reset_code_counts() > 0).sum() >= 4
    plain = (images.mean((0, 2, 3), keepdim=True) - images).square().mean()
    assert (model(images, mode='predict') - images).square().mean() < 0.5 * plain


def test_the_same_under_bfloat16():
    model = dvae()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(torch.rand(2, 3, 16, 16), mode='loss')
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r'Crops of \(18, 16\) pixels do not divide into cells of 4'):
        dvae()(torch.rand(1, 3, 18, 16), mode='loss')
    with pytest.raises(ConfigError, match='set network.out_channels=6'):
        dvae(dict(STRIDED, out_channels=3))
    with pytest.raises(ConfigError, match='is unknown'):
        dvae(pixel_law='gauss')
