"""Likelihood, prior, relaxation and figures of a discrete autoencoder."""

import math

import pytest
import torch
from torch.distributions import Categorical, Laplace, SigmoidTransform, TransformedDistribution, kl_divergence

from mim_plugin.models.losses.dvae import (
    PIXEL_LAWS,
    count_codes,
    gumbel_noise,
    kl_to_uniform,
    logit_laplace_nll,
    perplexity,
    relaxed_codes,
    share_used,
)


def test_logit_laplace_is_the_law_of_a_sigmoid_of_a_laplace_variable():
    torch.manual_seed(0)
    pixels, mean, log_scale = torch.rand(500, dtype=torch.float64), torch.randn(500).double(), torch.randn(500).double()
    law = TransformedDistribution(Laplace(mean, log_scale.exp()), SigmoidTransform())
    torch.testing.assert_close(logit_laplace_nll(pixels, mean, log_scale), -law.log_prob(pixels))


@pytest.mark.parametrize(('mean', 'log_scale'), [(0.0, 0.0), (1.5, -1.0), (-0.7, -2.0), (0.3, 0.5)])
def test_logit_laplace_density_integrates_to_one(mean, log_scale):
    # In the logit, where the density is smooth but for one point; dx = x (1 - x) dlogit.
    logits = torch.linspace(-60, 60, 400_001, dtype=torch.float64)
    pixels = logits.sigmoid().clamp(1e-30, 1 - 1e-16)
    inside = (logits > -30) & (logits < 30)
    density = (-logit_laplace_nll(pixels, torch.tensor(mean), torch.tensor(log_scale))).exp() * pixels * (1 - pixels)
    assert torch.trapezoid(density[inside], logits[inside]).item() == pytest.approx(1, abs=1e-4)


def test_kl_to_uniform():
    logits = 2 * torch.randn(3, 7, 2, 5)
    q = Categorical(logits=logits.movedim(1, -1))
    expected = kl_divergence(q, Categorical(torch.ones_like(q.probs))).flatten(1).sum(1)
    torch.testing.assert_close(kl_to_uniform(logits), expected)
    torch.testing.assert_close(kl_to_uniform(torch.zeros(2, 7, 2, 5)), torch.zeros(2), atol=1e-5, rtol=0)
    certain = 1e4 * torch.eye(7)[:, :4].view(1, 7, 2, 2)
    torch.testing.assert_close(kl_to_uniform(certain), torch.tensor([4 * math.log(7)]))


def test_relaxed_codes_are_drawn_from_the_scores():
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.0, 2.0]).view(1, 3, 1, 1).expand(1, 3, 200, 200).contiguous()
    drawn = relaxed_codes(logits, 0.01, gumbel_noise(logits)).argmax(1)
    shares = count_codes(drawn, 3) / drawn.numel()
    torch.testing.assert_close(shares, torch.tensor([0.0, 1.0, 2.0]).softmax(0), atol=0.01, rtol=0)


def test_temperature_makes_codes_hard_and_straight_through_keeps_the_gradient():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 3, 3, requires_grad=True)
    noise, target = gumbel_noise(logits), torch.randn(2, 5, 3, 3)
    soft = relaxed_codes(logits, 1.0, noise)
    torch.testing.assert_close(soft.sum(1), torch.ones(2, 3, 3))
    assert relaxed_codes(logits, 1e-3, noise).amax(1).min() > 0.99 > soft.amax(1).min()
    hard = relaxed_codes(logits, 1.0, noise, straight_through=True)
    torch.testing.assert_close(hard, torch.nn.functional.one_hot(soft.argmax(1), 5).movedim(-1, 1).float())
    (of_soft,) = torch.autograd.grad((soft * target).sum(), logits)
    (of_hard,) = torch.autograd.grad((hard * target).sum(), logits)
    torch.testing.assert_close(of_soft, of_hard)
    assert of_soft.any()


def test_usage_and_perplexity():
    counts = count_codes(torch.tensor([[[0, 0], [3, 3]], [[3, 0], [0, 3]]]), 8)
    assert counts.tolist() == [4, 0, 0, 4, 0, 0, 0, 0]
    assert perplexity(counts).item() == pytest.approx(2)
    assert share_used(counts).item() == pytest.approx(25)
    assert perplexity(torch.ones(8)).item() == pytest.approx(8)
    assert perplexity(torch.tensor([9.0, 0.0])).item() == pytest.approx(1)


@pytest.mark.parametrize('name', PIXEL_LAWS)
def test_a_law_finds_the_pixels_again(name):
    law = PIXEL_LAWS[name]
    images = torch.rand(2, 3, 4, 4)
    pixels = law.prepare(images)
    mean = torch.logit(pixels) if law.channels == 6 else pixels
    best = torch.cat([mean, torch.full_like(mean, -3)], 1) if law.channels == 6 else mean
    torch.testing.assert_close(law.images(best), images, atol=1e-5, rtol=0)
    assert law.error(best, pixels) < law.error(best + 0.2, pixels) < law.error(best + 0.5, pixels)


def test_a_scale_cannot_shrink_without_end():
    law, pixels = PIXEL_LAWS['logit_laplace'], torch.full((1, 3, 2, 2), 0.9)
    output = torch.cat([torch.logit(pixels), torch.full_like(pixels, -1e4)], 1).requires_grad_()
    law.error(output, pixels).backward()
    assert output.grad.isfinite().all()
