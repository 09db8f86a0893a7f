"""Token caches: ids as the tokenizer gives them for the same pixels, after any interruption, or a clear refusal."""

import copy
import json
import os

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch.utils.data import DataLoader

from mim_plugin.apis import encode_tokens as module
from mim_plugin.apis.encode_tokens import cached_config
from mim_plugin.apis.run import build_runner, prepare_config, train
from mim_plugin.datasets.token_cache import TokenCache, read_manifest
from mim_plugin.datasets.transforms.crops import random_crop_box
from mim_plugin.errors import ConfigError, DataError
from mim_plugin.models.tokenizers import MeanColorTokenizer
from mim_plugin.registry import DATASETS, MODELS, TRANSFORMS
from mim_plugin.testing.images import write_image_folder
from tests.test_apis.token_cache_toys import (
    MEAN_COLOR,
    WIDE,
    WideTokenizer,
    cached_images,
    config,
    encode,
    ids_of_view,
    shards,
)


@pytest.fixture
def photos(tmp_path):
    """8 images."""
    return write_image_folder(tmp_path / 'photos', per_class=4)


@pytest.mark.parametrize('tokenizer', [MEAN_COLOR, dict(type='WideTokenizer')])
def test_ids_of_fixed_crops_are_those_of_the_same_pixels(photos, tmp_path, tokenizer):
    target = dict(target_size=None) if tokenizer is MEAN_COLOR else dict(size=16)
    cfg = config(photos, tokenizer, **target)
    if tokenizer is not MEAN_COLOR:
        cfg.train_dataloader.dataset.pipeline[2].patch_size = 4
    encode(cfg, tmp_path / 'cache')
    images, live = cached_images(cfg, tmp_path / 'cache'), MODELS.build(tokenizer)
    seen = set()
    for epoch in range(14):
        images.set_epoch(epoch)
        for index in range(len(images)):
            sample = images[index]
            ids = sample['inputs']['ids'][0]
            assert ids.equal(ids_of_view(live, sample).int())
            seen.add((index, ids.numpy().tobytes()))
    assert len(seen) == 8 * 3, 'each image has 3 crops, and all of them occur'


def test_two_resolutions_and_flips_follow_the_documented_draw(photos, tmp_path):
    cfg = config(photos, WIDE, size=32, target_size=16, flip_prob=0.5)
    encode(cfg, tmp_path / 'cache', crops=4, seed=5)
    cache, live = TokenCache(tmp_path / 'cache'), MODELS.build(WIDE)
    crop = TRANSFORMS.build(dict(cfg.train_dataloader.dataset.pipeline[1]))
    paths = cached_images(cfg, tmp_path / 'cache').image_paths()
    flips = []
    for index, number in np.ndindex(8, 4):
        image = Image.open(photos / paths[index])
        rng = np.random.default_rng((5, number, index))
        flips.append(rng.random() < 0.5)
        if flips[-1]:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        box = random_crop_box(image.height, image.width, crop.scale, crop.ratio, rng)
        target = np.asarray(crop.views(image, box)[1][0]).transpose(2, 0, 1)
        expected = live(torch.tensor(target)[None] / 255).patches[0]
        assert np.array_equal(cache.ids(index, number), expected)
    assert 4 < sum(flips) < 28


def test_windows_of_whole_images_are_cut_and_flipped_with_the_pixels(photos, tmp_path):
    cfg = config(photos)
    encode(cfg, tmp_path / 'cache', crops=None, grid=[4, 6, 8])
    assert TokenCache(tmp_path / 'cache').manifest.views == [[4, 4], [6, 6], [8, 8]]
    images, live = cached_images(cfg, tmp_path / 'cache'), MODELS.build(MEAN_COLOR)
    equal, flipped = [], set()
    for epoch in range(8):
        images.set_epoch(epoch)
        for index in range(len(images)):
            sample = images[index]
            # The mean colour looks at one cell, so that even the windows are exact.
            equal.append((sample['inputs']['ids'][0] == ids_of_view(live, sample)).float().mean().item())
            flipped.add(sample['inputs']['ids'][0].numpy().tobytes())
    assert min(equal) == 1.0
    assert len(flipped) > 40, 'a window seldom occurs twice'


def test_grids_of_images_that_are_not_square(photos, tmp_path):
    cfg = config(photos, size=(32, 48))
    encode(cfg, tmp_path / 'cache', crops=None, grid=[8])
    assert TokenCache(tmp_path / 'cache').manifest.views == [[8, 12]]
    images, live = cached_images(cfg, tmp_path / 'cache'), MODELS.build(MEAN_COLOR)
    for _ in range(10):  # other windows each time
        sample = images[0]
        cached, seen = sample['inputs']['ids'][0], ids_of_view(live, sample)
        assert cached.shape == sample['inputs']['mask'][0].shape == (4, 6)
        # A window is resized from the image itself: where that moves a pixel by a grey level, so may a colour.
        colors = [live.decode(ids[None].long()) for ids in (cached, seen)]
        assert (colors[0] - colors[1]).abs().max() < 1.01 / 8
        assert (cached == seen).float().mean() > 0.9


def test_jitter_changes_the_view_and_not_the_ids(photos, tmp_path):
    calm, jittered = config(photos), config(photos, brightness=0.4)
    encode(calm, tmp_path / 'cache', crops=1)
    one, two = cached_images(calm, tmp_path / 'cache')[2], cached_images(jittered, tmp_path / 'cache')[2]
    assert one['inputs']['ids'][0].equal(two['inputs']['ids'][0])
    assert not one['inputs']['global'][0].equal(two['inputs']['global'][0])


def test_an_interrupted_run_goes_on_and_equals_an_uninterrupted_one(photos, tmp_path, monkeypatch):
    cfg = config(photos, WIDE, size=32, target_size=16)
    encode(cfg, tmp_path / 'whole')
    calls = []

    def interrupted(self, images):
        calls.append(len(images))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return self.conv(images - 0.5).argmax(1)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(WideTokenizer, 'encode', interrupted)
        encode(cfg, tmp_path / 'parts')
    assert list(shards(tmp_path / 'parts')) == ['ids-00000.npy']
    with pytest.raises(DataError, match=r'is unfinished \(1 of 3 shards\); run the same command again'):
        cached_images(cfg, tmp_path / 'parts')
    first = (tmp_path / 'parts/ids-00000.npy').stat().st_ino
    encode(cfg, tmp_path / 'parts')
    assert shards(tmp_path / 'parts') == shards(tmp_path / 'whole')
    assert (tmp_path / 'parts/ids-00000.npy').stat().st_ino == first, 'a finished shard is not made again'
    assert not list((tmp_path / 'parts').glob('*.part'))


def test_workers_do_not_matter(photos, tmp_path):
    cfg = config(photos)
    encode(cfg, tmp_path / 'none')
    encode(cfg, tmp_path / 'two', num_workers=2)
    assert shards(tmp_path / 'none') == shards(tmp_path / 'two')
    images = cached_images(cfg, tmp_path / 'two')
    images.set_epoch(1)
    loaded = [batch['inputs'] for batch in DataLoader(images, 4, num_workers=2)]
    images = cached_images(cfg, tmp_path / 'none')
    images.set_epoch(1)
    for index in (7, 0, 3):  # any order: after a resume in mid-epoch the rest comes out as it would have
        sample = images[index]['inputs']
        for key in ('global', 'ids', 'mask'):
            assert loaded[index // 4][key][0][index % 4].equal(sample[key][0])


def test_large_vocabularies_get_more_bits(photos, tmp_path):
    encode(config(photos), tmp_path / 'small')
    large = dict(type='WideTokenizer', vocabulary_size=70_000)
    encode(config(photos, large, target_size=16), tmp_path / 'large')
    assert np.load(tmp_path / 'small/ids-00000.npy').dtype == np.uint16
    assert np.load(tmp_path / 'large/ids-00000.npy').dtype == np.uint32


class TestDamagedImages:
    def test_the_neighbour_comes_with_its_own_ids(self, photos, tmp_path):
        paths = sorted(photos.rglob('*.jpg'))
        content = paths[3].read_bytes()
        paths[3].write_bytes(b'no image')
        cfg = config(photos)
        encode(cfg, tmp_path / 'cache')
        assert read_manifest(tmp_path / 'cache').damaged == [3]
        images, live = cached_images(cfg, tmp_path / 'cache'), MODELS.build(MEAN_COLOR)
        images.set_epoch(0)
        sample = images[3]
        assert sample['inputs']['ids'][0].equal(ids_of_view(live, sample).int())
        assert images.broken_paths() == [str(paths[3])]

        # Mended since: it has no ids, so training keeps replacing it, and says why.
        paths[3].write_bytes(content)
        mended = cached_images(cfg, tmp_path / 'cache')
        mended.set_epoch(0)
        assert mended[3]['inputs']['global'][0].equal(sample['inputs']['global'][0])
        assert mended.broken_paths() == [str(paths[3])]

    def test_too_many_are_refused(self, photos, tmp_path):
        for path in sorted(photos.rglob('*.jpg'))[:2]:
            path.write_bytes(b'no image')
        cfg = config(photos)
        cfg.train_dataloader.dataset.max_broken = 0.2
        with pytest.raises(DataError, match='At least 2 of the 8 images'):
            encode(cfg, tmp_path / 'cache')


class TestTraining:
    def test_beit_trains_without_a_tokenizer(self, photos, tmp_path, monkeypatch):
        path = encode(config(photos), tmp_path / 'cache')
        built = []
        monkeypatch.setattr(MeanColorTokenizer, 'encode', lambda self, images: built.append(images))
        runner = train(prepare_config(str(path), work_dir=str(tmp_path / 'work')))
        assert runner.iter == 2
        assert not built, 'the tokenizer is never run'
        assert not list(runner.model.tokenizer.parameters())
        assert runner.message_hub.get_scalar('train/loss_mim').current() > 0

    def test_loss_equals_that_of_the_live_tokenizer(self, photos, tmp_path):
        cfg = config(photos)
        encode(cfg, tmp_path / 'cache')
        cached = cached_config(cfg, str(tmp_path / 'cache'), 512)
        batch = next(iter(DataLoader(DATASETS.build(cached.train_dataloader.dataset), 4)))
        torch.manual_seed(0)
        with_ids = MODELS.build(cached.model)
        torch.manual_seed(0)
        live = MODELS.build(cfg.model)
        for model in (with_ids, live):
            model.init_weights()
        expected = copy.deepcopy(batch)
        del expected['inputs']['ids']
        losses = [
            model.train()(model.data_preprocessor(data)['inputs'], mode='loss')['loss_mim']
            for model, data in ((with_ids, batch), (live, expected))
        ]
        assert losses[0].item() == losses[1].item()

    @pytest.mark.parametrize(
        ('changes', 'error', 'message'),
        [
            (dict(model=dict(tokenizer=dict(vocabulary_size=64))), ConfigError, 'with 512 codes, but .* is 64'),
            (dict(model=dict(tokenizer=dict(tokenizer=dict(bits=2)))), ConfigError, 'was made by another MeanColor'),
            (dict(model=dict(tokenizer=dict(cache='nowhere'))), DataError, 'nowhere holds no token cache'),
            (dict(model=dict(head=dict(vocabulary_size=9))), ConfigError, 'scores 9 codes but CachedTokenizer has 512'),
            (dict(model=dict(tokenizer=dict(_delete_=True, **MEAN_COLOR))), ConfigError, 'make it a CachedTokenizer'),
        ],
    )
    def test_models_that_do_not_fit_are_refused(self, photos, tmp_path, changes, error, message):
        cfg = cached_config(config(photos), str(tmp_path / 'cache'), 512)
        encode(config(photos), tmp_path / 'cache')
        cfg.merge_from_dict(changes)
        with pytest.raises(error, match=message):
            train(prepare_config(cfg, work_dir=str(tmp_path / 'work')))

    def test_ids_of_another_tokenizer_than_the_model_checks(self, photos, tmp_path):
        encode(config(photos), tmp_path / 'cache')
        encode(config(photos, dict(type='MeanColorTokenizer', patch_size=8, bits=2)), tmp_path / 'other')
        cfg = cached_config(config(photos), str(tmp_path / 'cache'), 512)
        cfg.train_dataloader.dataset.pipeline[1].cache = str(tmp_path / 'other')
        with pytest.raises(ConfigError, match='are of another tokenizer than those of model.tokenizer.cache'):
            train(prepare_config(cfg, work_dir=str(tmp_path / 'work')))

    def test_a_pipeline_without_ids(self, photos, tmp_path):
        encode(config(photos), tmp_path / 'cache')
        cfg = config(photos)
        cfg.model = cached_config(cfg, str(tmp_path / 'cache'), 512).model
        runner = build_runner(prepare_config(cfg, work_dir=str(tmp_path / 'work')))
        with pytest.raises(ConfigError, match='put CachedTokenCrop in the place of TwoResolutionCrop'):
            runner.train()


class TestImagesThatDoNotFit:
    @pytest.fixture
    def cache(self, photos, tmp_path):
        encode(config(photos), tmp_path / 'cache')
        return tmp_path / 'cache'

    def test_number(self, cache, photos):
        (photos / 'class_0/9.jpg').write_bytes((photos / 'class_0/0.jpg').read_bytes())
        with pytest.raises(ConfigError, match='was made for 8 images, but the data set has 9'):
            cached_images(config(photos), cache)

    def test_names(self, cache, photos):
        (photos / 'class_0/0.jpg').rename(photos / 'class_0/00.jpg')
        with pytest.raises(ConfigError, match='8 images of other names or order'):
            cached_images(config(photos), cache)

    def test_subset(self, cache, photos):
        images = cached_images(config(photos), cache)
        with pytest.raises(ConfigError, match='made for 8 images, but the data set has 2'):
            images.get_subset([4, 5])

    def test_a_moved_folder_is_the_same(self, cache, photos):
        expected = cached_images(config(photos), cache)[0]['inputs']['ids'][0].shape
        photos.rename(photos.parent / 'moved')
        assert cached_images(config(photos.parent / 'moved'), cache)[0]['inputs']['ids'][0].shape == expected

    def test_loading(self, cache, photos):
        cfg = config(photos)
        cfg.train_dataloader.dataset.pipeline[0].upright = False
        with pytest.raises(ConfigError, match="'upright': True.* but the pipeline has .*'upright': False"):
            cached_images(cfg, cache)

    def test_grid(self, cache, photos):
        with pytest.raises(ConfigError, match=r'grids of \(4, 4\) ids, but crops of \(64, 64\) pixels have \(8, 8\)'):
            cached_images(config(photos, size=64), cache)

    def test_damaged_files(self, cache, photos):
        np.save(cache / 'ids-00001.npy', np.zeros((1, 2), np.uint16))
        with pytest.raises(DataError, match=r'ids-00001.npy holds \(1, 2\) uint16 but the manifest says \(3, 48\)'):
            cached_images(config(photos), cache)[4]
        (cache / 'ids-00001.npy').write_bytes(b'')
        with pytest.raises(DataError, match='ids-00001.npy cannot be read'):
            cached_images(config(photos), cache)[4]
        (cache / 'manifest.json').write_text('{"images": 8}')
        with pytest.raises(DataError, match='damaged or of another version'):
            cached_images(config(photos), cache)


class TestEncodingRefusals:
    @pytest.mark.parametrize(
        ('options', 'name'),
        [(dict(crops=2), 'views'), (dict(seed=1), 'sampling'), (dict(crops=None, grid=[8]), 'views')],
    )
    def test_another_cache_in_the_folder(self, photos, tmp_path, options, name):
        encode(config(photos), tmp_path / 'cache')
        before = shards(tmp_path / 'cache')
        with pytest.raises(ConfigError, match=f'holds a token cache with another {name} .*choose another --out'):
            encode(config(photos), tmp_path / 'cache', **options)
        assert shards(tmp_path / 'cache') == before

    @pytest.mark.parametrize(
        ('crop', 'options', 'message'),
        [
            (dict(target_size=36), {}, r'\(36, 36\) pixels into patches'),
            (dict(target_size=30), {}, 'does not divide into the'),
            (dict(target_size=16), {}, r'makes a grid of \(2, 2\) ids from \(16, 16\) pixels, but \(4, 4\)'),
            ({}, dict(crops=0), 'either --crops K'),
            ({}, dict(crops=None), 'either --crops K'),
            ({}, dict(crops=None, grid=[3]), 'smaller than the 4 x 4 patches'),
        ],
    )
    def test_grids_and_crops(self, photos, tmp_path, crop, options, message):
        with pytest.raises(ConfigError, match=message):
            encode(config(photos, **crop), tmp_path / 'cache', **options)

    def test_values_random_weights_and_other_pipelines(self, photos, tmp_path, monkeypatch):
        monkeypatch.setattr(WideTokenizer, 'has_weights', True)
        with pytest.raises(ConfigError, match='has random weights'):
            encode(config(photos, WIDE, target_size=16), tmp_path / 'cache')
        monkeypatch.setattr(WideTokenizer, 'has_weights', False)
        monkeypatch.setattr(WideTokenizer, 'kind', 'values')
        with pytest.raises(ConfigError, match='gives values, and only ids are cached'):
            encode(config(photos, WIDE, target_size=16), tmp_path / 'cache')
        cfg = config(photos)
        del cfg.train_dataloader.dataset.pipeline[1]
        with pytest.raises(ConfigError, match='a BEiT config with TwoResolutionCrop and BEiTMasks'):
            encode(cfg, tmp_path / 'cache')
        with pytest.raises(ConfigError, match='has no model.tokenizer'):
            encode(Config(dict(train_dataloader={})), tmp_path / 'cache')

    def test_ids_out_of_range(self, photos, tmp_path, monkeypatch):
        monkeypatch.setattr(WideTokenizer, 'encode', lambda self, images: torch.full((len(images), 4, 4), 7))
        with pytest.raises(DataError, match='wants .* ids below 7, but the tokenizer made .* up to 7'):
            encode(config(photos, WIDE, target_size=16), tmp_path / 'cache')


def test_hash_tells_settings_and_weights_apart_but_not_places():
    from mim_plugin.models.tokenizers.cached import tokenizer_hash

    def hash_of(entry):
        return tokenizer_hash(MODELS.build(entry), entry)

    assert hash_of(MEAN_COLOR) == hash_of(dict(type='mim_plugin.MeanColorTokenizer', patch_size=8, bits=3))
    assert hash_of(MEAN_COLOR) != hash_of(dict(type='MeanColorTokenizer', patch_size=8, bits=2))
    assert hash_of(WIDE) == hash_of(dict(type='WideTokenizer'))
    moved = MODELS.build(WIDE)
    moved.conv.bias.data[0] += 1e-6
    assert tokenizer_hash(moved, WIDE) != hash_of(WIDE)
    places = [dict(type='WideTokenizer', features=dict(type=kind, checkpoint=place)) for kind, place in
              (('A', 'here'), ('A', 'there'), ('B', 'here'))]  # fmt: skip
    hashes = [tokenizer_hash(MODELS.build(WIDE), entry) for entry in places]
    assert hashes[0] == hashes[1] != hashes[2]


def test_progress_says_speed_size_and_what_next(photos, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(module, 'print_log', lambda text, **_: lines.append(text))
    path = encode(config(photos), tmp_path / 'cache')
    assert '8 of 8 images' in lines[-2] and 'images/s' in lines[-2]
    assert lines[-1].endswith(f'Next: python tools/train.py {path}')
    assert json.loads((tmp_path / 'cache/manifest.json').read_text())['finished']
    assert os.path.getsize(tmp_path / 'cache/ids-00000.npy') == 128 + 3 * 48 * 2
