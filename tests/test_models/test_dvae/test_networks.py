"""The networks of discrete autoencoders; parity with published code is in the golden cases, too."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mim_plugin.models.dvae import DALLEDVAE, DALLEDecoder, DALLEEncoder, StridedDVAE
from mim_plugin.models.losses.dvae import PIXEL_LAWS

DATA = Path(__file__).parents[2] / 'data'


@torch.no_grad()
def test_same_figures_as_the_published_package():
    spec = importlib.util.spec_from_file_location('record_maker', DATA / 'make_dalle_package_record.py')
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    record = load_file(DATA / maker.RECORD)
    sizes = [maker.SIZES[key] for key in ('vocab_size', 'n_hid', 'n_blk_per_group')]
    encoder, decoder = DALLEEncoder(*sizes), DALLEDecoder(*sizes, init_dim=16)
    for part, network in (('encoder', encoder), ('decoder', decoder)):
        start = f'names/{part}/'
        names = {name.removeprefix(start): tuple(v.tolist()) for name, v in record.items() if name.startswith(start)}
        assert names == {name: tuple(value.shape) for name, value in network.state_dict().items()}
        maker.fill(network)
    law = PIXEL_LAWS['logit_laplace']
    logits = encoder(law.prepare(maker.image()))
    torch.testing.assert_close(logits, record['logits'], atol=2e-5, rtol=1e-4)
    one_hot = torch.nn.functional.one_hot(record['codes'], sizes[0]).movedim(-1, 1)
    output = decoder(one_hot)
    torch.testing.assert_close(output, record['output'], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(law.images(output), record['pixels'], atol=1e-5, rtol=1e-4)
    assert record['output'].std() > 0.1 and record['logits'].std() > 0.1


@pytest.mark.parametrize(
    ('build', 'parameters'),
    [(DALLEEncoder, 53_786_240), (DALLEDecoder, 43_829_766), (StridedDVAE, 20_081_411)],
)
def test_full_size_is_the_published_one(build, parameters):
    with torch.device('meta'):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.sizes_in(network.state_dict()) == network.sizes


TINY = [
    DALLEDVAE(vocabulary_size=20, hidden_dim=8, blocks_per_group=1, init_dim=6),
    StridedDVAE(vocabulary_size=20, codebook_dim=6, num_layers=2, hidden_dim=8, out_channels=6),
]


@pytest.mark.parametrize('network', TINY)
def test_shapes_of_images_that_are_not_square(network):
    cell = network.downsampling
    scores = network.encode(torch.rand(2, 3, 3 * cell, 2 * cell))
    assert scores.shape == (2, 20, 3, 2)
    assert network.decode(scores.softmax(1)).shape == (2, 6, 3 * cell, 2 * cell)


@pytest.mark.parametrize('make', [DALLEDVAE, StridedDVAE])
def test_all_parameters_get_a_gradient(make):
    torch.manual_seed(0)
    # Narrower, a layer may be dead behind its rectifiers.
    network = make(vocabulary_size=20, hidden_dim=32)
    scores = network.encode(torch.rand(4, 3, 16, 16))
    network.decode(scores.softmax(1)).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_dalle_computes_in_float32_under_autocast():
    network = TINY[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        scores = network.encode(torch.rand(1, 3, 16, 16))
        output = network.decode(scores)
    assert scores.dtype == output.dtype == torch.float32


def test_sizes_are_read_from_a_state_dict_and_other_kinds_are_told():
    for network in TINY:
        assert network.sizes_in(network.state_dict()) == network.sizes
    whole = TINY[0]
    assert DALLEEncoder.sizes_in(whole.decoder.state_dict()) is None
    assert DALLEDecoder.sizes_in(whole.encoder.state_dict()) is None
    assert StridedDVAE.sizes_in(whole.state_dict()) is None
    assert DALLEDVAE.sizes_in(TINY[1].state_dict()) is None
