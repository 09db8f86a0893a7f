"""Slide, whole and multi-scale inference of small segmenters made from the shipped configs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.apis.run import prepare_config
from mim_plugin.apis.run import test as run_test
from mim_plugin.checkpoints.formats.beit import official_name
from mim_plugin.testing.shrink import shrink

pytest.importorskip('mmseg')
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/segmentation'
NAMES = {
    'upernet': 'ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512',
    'relative': 'beit_vit-base-p16_upernet_8xb2-160k_ade20k-512x512',
    'setr-pup': 'beit-abs_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512',
    'linear': 'ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512',
}
CROP, STRIDE = 64, 48


def small(kind: str, folder: Path) -> Config:
    cfg = shrink(Config.fromfile(FOLDER / f'{NAMES[kind]}.py'), folder)
    cfg.model.test_cfg.update(crop_size=(CROP, CROP), stride=(STRIDE, STRIDE))
    return cfg


def build(entry: dict) -> torch.nn.Module:
    """A model whose every number matters: nothing is zero, no statistic that of the start."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(entry).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn(value.shape))
        for name, value in model.named_buffers():
            if name.endswith(('running_mean', 'running_var')):
                value.copy_(torch.rand(value.shape) + 0.5)
    return model


@pytest.fixture(scope='module', params=NAMES)
def model(request, tmp_path_factory):
    return build(small(request.param, tmp_path_factory.mktemp(request.param)).model)


def scores(model: torch.nn.Module, images: torch.Tensor, mode: str) -> torch.Tensor:
    model.test_cfg.mode = mode
    with torch.no_grad():
        return torch.stack([sample.seg_logits.data for sample in model.predict(images)])


def test_an_image_of_the_crop_is_one_window(model):
    torch.manual_seed(1)
    images = torch.randn(2, 3, CROP, CROP)
    torch.testing.assert_close(scores(model, images, 'slide'), scores(model, images, 'whole'))


@pytest.mark.parametrize('size', [(CROP, 40), (33, 50), (CROP - 1, CROP)])
def test_an_image_that_is_smaller_than_the_crop_goes_in_as_it_is(model, size):
    torch.manual_seed(2)
    images = torch.randn(1, 3, *size)
    found = scores(model, images, 'slide')
    assert found.shape == (1, 150, *size) and found.isfinite().all()
    torch.testing.assert_close(found, scores(model, images, 'whole'))


def test_overlapping_windows_are_averaged_before_the_softmax(model):
    torch.manual_seed(3)
    images = torch.randn(1, 3, CROP, 150)
    total, count = torch.zeros(1, 150, CROP, 150), torch.zeros(150)
    for left in (0, STRIDE, 150 - CROP):  # the last window is shifted back into the image
        total[..., left : left + CROP] += scores(model, images[..., left : left + CROP], 'whole')
        count[left : left + CROP] += 1
    assert count.unique().tolist() == [1, 2]
    torch.testing.assert_close(scores(model, images, 'slide'), total / count)


@pytest.mark.parametrize('size', [(96, 80), (70, 101)])
def test_whole_images_of_any_size(model, size):
    torch.manual_seed(4)
    images = torch.randn(1, 3, *size)
    found = scores(model, images, 'whole')
    assert found.shape == (1, 150, *size) and found.isfinite().all()
    # Every pixel counts, and where it lies: height and width are not exchanged.
    assert (found - scores(model, images.transpose(2, 3), 'whole').transpose(2, 3)).abs().max() > 1e-3


def variants(crop: int, size: tuple[int, int]) -> list[tuple[tuple[int, int], bool]]:
    """Sizes (H, W) and flips that the config of a crop makes of an image."""
    cfg = Config.fromfile(FOLDER / f'ibot_vit-base-p16_upernet_8xb2-160k_ade20k-{crop}x{crop}.py')
    image = np.zeros((*size, 3), np.uint8)
    with DefaultScope.overwrite_default_scope('mmseg'):
        augment = Compose(cfg.tta_pipeline[1:2])
        for chain in augment.transforms[0].subroutines:  # sizes and flips, without files
            chain.transforms = [step for step in chain.transforms if type(step).__name__ != 'LoadAnnotations']
        packed = augment(dict(img=image, img_shape=size, ori_shape=size, img_path='', seg_map_path=''))
    return [(tuple(x.shape[1:]), s.metainfo['flip']) for x, s in zip(packed['inputs'], packed['data_samples'])]


@pytest.mark.parametrize(('crop', 'size'), [(512, (300, 400)), (512, (1000, 600)), (640, (683, 512))])
def test_sizes_of_the_multi_scale_test(crop, size):
    expected = []
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75):
        factor = max(crop * ratio, crop) / min(size)
        expected += 2 * [tuple(int(side * factor + 0.5) for side in size)]
    found = variants(crop, size)
    assert [shape for shape, _ in found] == expected
    assert [flip for _, flip in found] == [False, True] * 6


def test_multi_scale_test_averages_the_softmax_of_every_variant(tmp_path):
    cfg = small('upernet', tmp_path)
    module = build(cfg.model)
    with DefaultScope.overwrite_default_scope('mmseg'):
        pipeline = Compose(cfg.tta_pipeline)
        path = next((tmp_path / 'segmentation/images/validation').iterdir())
        labels = tmp_path / 'segmentation/annotations/validation' / path.with_suffix('.png').name
        batch = pseudo_collate(
            [pipeline(dict(img_path=str(path), seg_map_path=str(labels), reduce_zero_label=True, seg_fields=[]))]
        )
        averaging = MODELS.build({**cfg.tta_model, 'module': module})
    with torch.no_grad():
        found = averaging.test_step(batch)[0].pred_sem_seg.data
        total = 0
        for inputs, samples in zip(batch['inputs'], batch['data_samples']):
            data = module.data_preprocessor(dict(inputs=inputs, data_samples=samples))
            images = data['inputs']
            logits = module.slide_inference(images, [dict(sample.metainfo) for sample in samples])
            logits = logits.flip(3) if samples[0].metainfo['flip'] else logits
            shape = samples[0].metainfo['ori_shape']
            logits = torch.nn.functional.interpolate(logits, shape, mode='bilinear', align_corners=False)
            total = total + logits[0].softmax(0)
    assert len(batch['inputs']) == 12
    assert (found == total.argmax(0)).float().mean() > 0.999
    assert len(found.unique()) > 3


def test_command_on_a_file_with_the_published_names(tmp_path, monkeypatch, fresh_python):
    cfg = small('relative', tmp_path)
    cfg = Config(
        {key: cfg[key] for key in cfg if key in ('model', 'default_scope') or key.startswith(('test_', 'tta_'))}
    )
    (tmp_path / 'small.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in cfg.to_dict().items()))
    state = build(cfg.model).state_dict()
    state['decode_head.conv_seg.bias'][3:] -= 100  # the generated labels have three classes
    names = {name: official_name(name) for name in state}  # the published backbone holds the pyramid
    published = {f'backbone.{new}' if new else name: state[name] for name, new in names.items()}
    torch.save({'state_dict': published}, tmp_path / 'published.pth')
    torch.save({'state_dict': state}, tmp_path / 'ours.pth')

    options = ('small.py', 'published.pth', '--tta', '--out', 'tta.json')
    done = fresh_python(ROOT / 'tools/test.py', *options, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / 'tta.json').read_text())
    assert 0 < found['aAcc'] < 100

    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: ''))  # slow to make, and not read here
    prepared = prepare_config(cfg, work_dir=str(tmp_path / 'work'))
    expected = run_test(prepared, str(tmp_path / 'ours.pth'), tta=True)
    assert found == pytest.approx(expected, abs=0.02)
