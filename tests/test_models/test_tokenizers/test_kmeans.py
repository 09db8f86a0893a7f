"""k-means codes: the nearest centroid, normalisation, drawing, files; and fitting them."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.cluster import KMeans, MiniBatchKMeans

from mim_plugin.errors import CheckpointError, ConfigError, DataError
from mim_plugin.models.tokenizers.fitting import fit_centroids, fit_normalisation, mean_of_codes
from mim_plugin.models.tokenizers.kmeans import argmax_scores
from mim_plugin.registry import MODELS

PIXELS = dict(type='PixelFeatures', patch_size=4)


def build(features=None, codes=6, seed=0, **options):
    torch.manual_seed(seed)
    config = dict(type='KMeansTokenizer', features=features or PIXELS, vocabulary_size=codes, **options)
    return MODELS.build(config).freeze()


@pytest.mark.parametrize('normalise', ['none', 'standardise', 'whiten'])
def test_codes_are_those_of_sklearn(normalise):
    tokenizer, images = build(codes=7, normalise=normalise), torch.rand(3, 3, 16, 24)
    rows = tokenizer.features(images).flatten(0, 2)
    mean, transform = fit_normalisation(rows, normalise)
    tokenizer.mean.copy_(mean)
    tokenizer.transform.copy_(transform)
    normalised = tokenizer.normalised(rows)
    kmeans = MiniBatchKMeans(7, random_state=0, n_init=1).fit(normalised.numpy())
    tokenizer.centroids.copy_(torch.from_numpy(kmeans.cluster_centers_))
    targets = tokenizer(images)
    assert (targets.kind, targets.patches.dtype, tuple(targets.patches.shape)) == ('ids', torch.int64, (3, 4, 6))
    assert targets.patches.flatten().tolist() == kmeans.predict(normalised.numpy()).tolist()


def test_normalisation_does_what_it_says():
    rows = torch.randn(500, 5) @ torch.randn(5, 5) + 3
    mean, scale = fit_normalisation(rows, 'standardise')
    assert torch.allclose(((rows - mean) * scale).std(0, correction=0), torch.ones(5), atol=1e-4)
    mean, matrix = fit_normalisation(rows, 'whiten')
    assert torch.allclose(torch.cov(((rows - mean) @ matrix).T, correction=0), torch.eye(5), atol=1e-2)
    constant = torch.cat([rows, torch.ones(500, 1)], dim=1)
    for kind in ('standardise', 'whiten'):
        assert all(values.isfinite().all() for values in fit_normalisation(constant, kind))


def test_scores_are_taken_some_rows_at_a_time():
    rows, weight, bias = torch.randn(23, 4), torch.randn(5, 4), torch.randn(5)
    expected = (rows @ weight.T + bias).argmax(1)
    for limit in (1, 15, 10**6):
        assert argmax_scores(rows, weight, bias, limit).equal(expected)


@pytest.mark.parametrize('normalise', ['none', 'standardise', 'whiten'])
def test_features_with_a_decoder_draw_their_centroids(normalise):
    tokenizer = build(codes=9, normalise=normalise)
    patches = torch.rand(9, 48)
    mean, transform = fit_normalisation(torch.rand(300, 48), normalise)
    tokenizer.mean.copy_(mean)
    tokenizer.transform.copy_(transform)
    tokenizer.centroids.copy_(tokenizer.normalised(patches))
    ids = torch.arange(9).view(1, 3, 3)
    picture = tokenizer.decode(ids)
    assert torch.allclose(tokenizer.features(picture).flatten(0, 2), patches, atol=1e-4)
    assert tokenizer(picture).patches.equal(ids)


def test_other_features_draw_the_mean_picture_of_a_code():
    tokenizer = build(dict(type='ColorGradientFeatures', patch_size=4), codes=2)
    tokenizer.pictures.copy_(torch.stack([torch.zeros(48), torch.ones(48)]))
    picture = tokenizer.decode(torch.tensor([[[0, 1], [1, 0]]]))
    assert picture.shape == (1, 3, 8, 8)
    assert picture[0, 0, :, 0].tolist() == [0.0] * 4 + [1.0] * 4


def test_file_keeps_the_codes(tmp_path):
    source, target = build(seed=1), build(checkpoint=str(tmp_path / 'new/codes.safetensors'))
    source.pictures.uniform_()
    source.save_codes(tmp_path / 'new/codes.safetensors', {'seed': '3'})
    with pytest.raises(ConfigError, match='has not read'):
        target(torch.rand(1, 3, 8, 8))
    target.init_weights()
    assert target.centroids.equal(source.centroids)
    assert torch.allclose(target.pictures, source.pictures, atol=1e-3)
    images = torch.rand(2, 3, 8, 8)
    assert target(images).patches.equal(source(images).patches)
    with safe_open(tmp_path / 'new/codes.safetensors', 'pt') as file:
        assert file.metadata()['seed'] == '3'
        assert 'PixelFeatures' in file.metadata()['features']
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['codes.safetensors']


VIT = dict(
    type='ViTFeatures',
    backbone=dict(
        arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=48), img_size=16, patch_size=4
    ),
)


@pytest.mark.parametrize(
    ('maker', 'reader', 'message'),
    [
        ({}, dict(codes=7), 'holds 6 codes but tokenizer.vocabulary_size is 7'),
        ({}, dict(normalise='whiten'), 'normalise standardise, but the config says whiten'),
        ({}, dict(features=dict(PIXELS, patch_size=8)), '"patch_size": 4.*but the config says.*"patch_size": 8'),
        ({}, dict(features=dict(type='ColorGradientFeatures', patch_size=4)), 'PixelFeatures.*ColorGradientFeatures'),
        (dict(features=VIT), dict(features=VIT, seed=5), 'made with other weights of the features'),
    ],
)
def test_codes_of_something_else_are_refused(tmp_path, maker, reader, message):
    path = tmp_path / 'codes.safetensors'
    build(**maker).save_codes(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        build(**{**maker, **reader}).load_checkpoint(str(path))
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    save_file({'weight': torch.zeros(2)}, tmp_path / 'other.safetensors')
    torch.save({'state_dict': {'weight': torch.zeros(2)}}, tmp_path / 'other.pth')
    for name in ('other.safetensors', 'other.pth'):
        with pytest.raises(CheckpointError, match=rf'{name} holds no k-means codes; fit some with tools/fit_codes.py'):
            build(checkpoint=str(tmp_path / name)).init_weights()
    with pytest.raises(CheckpointError, match=r'does not exist, but tokenizer\.checkpoint names it; fit codes'):
        build(checkpoint=str(tmp_path / 'gone.safetensors')).init_weights()
    with pytest.raises(ConfigError, match="normalise='l2'"):
        build(normalise='l2')


def blobs(count=40, codes=8, dims=3):
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(codes, dims, generator=generator) * 20
    return (centres.repeat(count, 1) + torch.randn(codes * count, dims, generator=generator)), centres


def test_fit_finds_what_there_is_and_is_reproducible():
    rows, _ = blobs()
    found = fit_centroids(rows, 8, seed=0)
    full = KMeans(8, n_init=10, random_state=0).fit(rows.numpy())
    spread = (rows - rows.mean(0)).square().sum(1).mean()
    assert found.error == pytest.approx(full.inertia_ / len(rows) / spread.item(), rel=1e-3)
    assert found.counts.tolist() == [40] * 8
    assert found.ids.equal(argmax_scores(rows, found.centroids, -found.centroids.square().sum(1) / 2))
    again = fit_centroids(rows, 8, seed=0)
    assert again.centroids.equal(found.centroids)


def test_codes_without_use_are_moved_to_where_rows_are(monkeypatch):
    rows, _ = blobs()
    lost = torch.full((8, 3), 1e4)
    lost[0] = rows.mean(0)
    monkeypatch.setattr('mim_plugin.models.tokenizers.fitting._mini_batch_kmeans', lambda *_: lost.clone())
    found = fit_centroids(rows, 8)
    assert found.reseeded >= 7
    assert (found.counts > 0).all()
    assert found.error < 0.1


def test_equal_rows_leave_codes_unused_without_trouble():
    found = fit_centroids(torch.ones(50, 3), 4)
    assert (found.counts > 0).sum() == 1 and found.error == 0
    assert found.centroids.isfinite().all()


def test_too_few_rows_are_one_clear_message():
    with pytest.raises(DataError, match='49 patches are too few for 50 codes; give more images, or at most --num-code'):
        fit_centroids(torch.rand(49, 3), 50)
    assert len(fit_centroids(torch.rand(50, 3), 50).centroids) == 50


def test_means_of_codes():
    rows, empty = torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([[0.5]] * 3)
    assert mean_of_codes(rows, torch.tensor([0, 0, 2]), empty).flatten().tolist() == [2.0, 0.5, 7.0]
