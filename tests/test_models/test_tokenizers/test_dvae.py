"""Tokenizers made of discrete autoencoders: ids, pictures, and files that do not fit."""

import pytest
import torch
from safetensors.torch import save_file

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.dvae import DALLEDecoder, DALLEEncoder, StridedDVAE
from mim_plugin.models.layers.pixel_map import map_pixels
from mim_plugin.registry import MODELS

SIZES = dict(vocabulary_size=20, hidden_dim=8, blocks_per_group=1)
STRIDED = dict(vocabulary_size=20, codebook_dim=6, num_layers=2, hidden_dim=8, out_channels=6)


def dalle(**changes):
    return MODELS.build(dict(type='DALLETokenizer', decoder_init_dim=6, **SIZES) | changes)


def own(network=None, **changes):
    return MODELS.build(dict(type='DVAETokenizer', network=network or dict(type='StridedDVAE', **STRIDED)) | changes)


@pytest.fixture
def files(tmp_path):
    """Files of every kind, by name; networks beside them."""
    torch.manual_seed(0)
    encoder, decoder = DALLEEncoder(**SIZES), DALLEDecoder(**SIZES, init_dim=6)
    strided = StridedDVAE(**STRIDED)
    torch.save(encoder, tmp_path / 'encoder.pkl')
    torch.save(decoder, tmp_path / 'decoder.pkl', _use_new_zipfile_serialization=False)
    torch.save(dict(state_dict={f'network.{n}': v for n, v in strided.state_dict().items()}), tmp_path / 'run.pth')
    torch.save(dict(weights=strided.state_dict()), tmp_path / 'published.bin')
    save_file(dict(centroids=torch.zeros(20, 4)), tmp_path / 'kmeans.safetensors')
    vit = {'cls_token': torch.zeros(1, 1, 4), 'blocks.0.norm1.weight': torch.zeros(4)}
    torch.save(dict(model=vit), tmp_path / 'vit.pth')
    torch.save({n: v for n, v in strided.state_dict().items() if 'decoder.1' not in n}, tmp_path / 'part.pth')
    return {path.name: str(path) for path in tmp_path.iterdir()}, dict(encoder=encoder, decoder=decoder, own=strided)


def test_dalle_ids_and_pictures(files):
    paths, networks = files
    tokenizer = dalle(checkpoint=paths['encoder.pkl'], decoder_checkpoint=paths['decoder.pkl'])
    tokenizer.init_weights()
    images = torch.rand(2, 3, 32, 24)
    targets = tokenizer(images)
    expected = networks['encoder'](map_pixels(images)).argmax(1)
    assert targets.kind == 'ids' and targets.patches.equal(expected) and targets.patches.shape == (2, 4, 3)
    weights = torch.nn.functional.one_hot(expected, 20).movedim(-1, 1)
    mean = networks['decoder'](weights)[:, :3]
    pictures = tokenizer.decode(targets.patches)
    torch.testing.assert_close(pictures, ((mean.sigmoid() - 0.1) / 0.8).clamp(0, 1))
    assert tokenizer.grid_size((112, 112)) == (14, 14)


@pytest.mark.parametrize('name', ['run.pth', 'published.bin'])
def test_own_ids_and_pictures(files, name):
    paths, networks = files
    tokenizer = own(checkpoint=paths[name])
    tokenizer.init_weights()
    images = torch.rand(2, 3, 16, 8)
    targets = tokenizer(images)
    assert targets.patches.equal(networks['own'].encode(map_pixels(images)).argmax(1))
    assert targets.patches.shape == (2, *tokenizer.grid_size((16, 8))) == (2, 4, 2)
    pictures = tokenizer.decode(targets.patches)
    assert pictures.shape == images.shape and pictures.min() >= 0 and pictures.max() <= 1


def test_published_pixels_of_beits_own():
    network = dict(type='StridedDVAE', **STRIDED | dict(out_channels=3))
    tokenizer = own(network, pixel_law='l2')
    images = torch.rand(1, 3, 8, 8)
    assert tokenizer(images).patches.equal(tokenizer.network.encode((images - 0.5) / 0.5).argmax(1))


def test_without_a_decoder_there_is_none(files):
    paths, _ = files
    tokenizer = dalle(checkpoint=paths['encoder.pkl'])
    assert not hasattr(tokenizer, 'decoder') and not tokenizer.can_decode
    with pytest.raises(ConfigError, match='set tokenizer.decoder_checkpoint'):
        tokenizer.decode(torch.zeros(1, 2, 2, dtype=torch.int64))
    with pytest.raises(ConfigError, match='set tokenizer.checkpoint'):
        dalle(decoder_checkpoint=paths['decoder.pkl'])


def test_images_must_divide_into_cells():
    with pytest.raises(ConfigError, match=r'\(100, 112\) pixels into patches of 8'):
        dalle().grid_size((100, 112))
    with pytest.raises(ConfigError, match=r'\(8, 6\) pixels into patches of 4'):
        own()(torch.rand(1, 3, 8, 6))


@pytest.mark.parametrize(
    ('build', 'name', 'message'),
    [
        (dalle, 'gone.pkl', 'gone.pkl does not exist, but tokenizer.checkpoint names it; put the published file there'),
        (own, 'gone.pth', 'gone.pth does not exist, but tokenizer.checkpoint names it; train it first'),
        (dalle, 'decoder.pkl', "does not hold DALL-E's encoder: it has blocks.input.w"),
        (dalle, 'kmeans.safetensors', "does not hold DALL-E's encoder: it has centroids"),
        (dalle, 'vit.pth', "does not hold DALL-E's encoder: it has cls_token"),
        (dalle, 'run.pth', "does not hold DALL-E's encoder: it has codebook.weight"),
        (own, 'kmeans.safetensors', 'does not hold an autoencoder of strided convolutions: it has centroids'),
        (own, 'vit.pth', 'does not hold an autoencoder of strided convolutions: it has cls_token'),
        (own, 'encoder.pkl', 'does not hold an autoencoder of strided convolutions: it has blocks.input.w'),
        (own, 'part.pth', 'only a part of an autoencoder'),
    ],
)
def test_a_file_of_another_kind_is_refused(files, build, name, message):
    paths, _ = files
    tokenizer = build(checkpoint=paths.get(name, name))
    with pytest.raises(CheckpointError, match=message) as caught:
        tokenizer.init_weights()
    assert '\n' not in str(caught.value)


def test_an_encoder_in_place_of_the_decoder_is_refused(files):
    paths, _ = files
    with pytest.raises(CheckpointError, match="does not hold DALL-E's decoder"):
        dalle(checkpoint=paths['encoder.pkl'], decoder_checkpoint=paths['encoder.pkl']).init_weights()


def test_another_size_is_named(files):
    paths, _ = files
    with pytest.raises(CheckpointError, match=r'vocabulary_size=20 \(config: 24\); set the tokenizer'):
        dalle(checkpoint=paths['encoder.pkl'], vocabulary_size=24).init_weights()
    network = dict(type='StridedDVAE', **STRIDED | dict(hidden_dim=16, num_layers=3))
    with pytest.raises(CheckpointError, match=r'num_layers=2 \(config: 3\), hidden_dim=8 \(config: 16\)'):
        own(network, checkpoint=paths['run.pth']).init_weights()


def test_a_law_that_the_network_does_not_serve_is_refused():
    with pytest.raises(ConfigError, match="pixel_law='l2' needs 3 numbers"):
        own(pixel_law='l2')
    with pytest.raises(ConfigError, match="pixel_law='poisson' is unknown"):
        own(pixel_law='poisson')
