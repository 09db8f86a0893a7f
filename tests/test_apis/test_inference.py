"""Predictions of the three toolboxes' models by one call, held to the toolboxes' own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from mim_plugin.apis import inference, init_model, iter_inference
from mim_plugin.apis.tasks import check_toolbox, place_of_name, task_of
from mim_plugin.errors import CheckpointError, ConfigError, DataError
from mim_plugin.testing.images import write_image_folder
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
CONFIGS = {
    'segmentation': 'segmentation/ibot_vit-small-p16_upernet_4xb4-160k_ade20k-512x512.py',
    'detection': 'detection/ibot_vit-small-p16_mask-rcnn_8xb4-1x_coco.py',
    'classification': 'classification/beit_vit-base-p16_8xb128-coslr-100e_in1k.py',
}
META = {
    'segmentation': dict(classes=[f'thing {i}' for i in range(150)], palette=[[i, 255 - i, 90] for i in range(150)]),
    'detection': dict(classes=[f'object {i}' for i in range(80)]),
    'classification': dict(classes=[f'kind {i}' for i in range(1000)]),
}
TASKS = ['segmentation', pytest.param('detection', marks=pytest.mark.ops), 'classification']
# With random weights no object is certain.
OPTIONS = {'detection': {'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 5}}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and checkpoint of a tiny model for each task, made when first asked for."""
    made = {}

    def make(task):
        if task not in made:
            folder = tmp_path_factory.mktemp(task)
            cfg = shrink(Config.fromfile(ROOT / 'configs' / CONFIGS[task]), folder / 'data')
            if task == 'classification':
                # The generated data have two classes.
                cfg.model.head.num_classes = 1000
            torch.manual_seed(0)
            with DefaultScope.overwrite_default_scope(cfg.default_scope):
                state = MODELS.build(cfg.model).state_dict()
            cfg.dump(folder / 'config.py')
            torch.save(dict(state_dict=state, meta=dict(dataset_meta=META[task])), folder / 'weights.pth')
            made[task] = str(folder / 'config.py'), str(folder / 'weights.pth')
        return made[task]

    return make


@pytest.fixture
def build(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image_folder('photos')
    return lambda task: init_model(*trained(task), cfg_options=OPTIONS.get(task))


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def pixels(path):
    return np.asarray(Image.open(path).convert('RGB')).astype(int)


def test_segments_are_those_of_mmseg(build):
    from mmseg.apis import inference_model

    model = build('segmentation')
    sample = inference(model, 'photos/class_0/0.jpg')
    expected = inference_model(model, 'photos/class_0/0.jpg')
    torch.testing.assert_close(sample.seg_logits.data, expected.seg_logits.data)
    assert torch.equal(sample.pred_sem_seg.data, expected.pred_sem_seg.data)
    assert not model.training and sample.pred_sem_seg.shape == (72, 80)


@pytest.mark.ops
def test_objects_are_those_of_mmdet(build):
    from mmdet.apis import inference_detector

    model = build('detection')
    sample = inference(model, 'photos/class_0/0.jpg')
    with DefaultScope.overwrite_default_scope('mmdet'):
        expected = inference_detector(model, 'photos/class_0/0.jpg')
    assert len(sample.pred_instances) == 5
    for key in ('bboxes', 'scores', 'labels', 'masks'):
        torch.testing.assert_close(sample.pred_instances[key], expected.pred_instances[key])


def test_classes_are_those_of_mmpretrain(build):
    from mmpretrain import ImageClassificationInferencer

    model = build('classification')
    sample = inference(model, 'photos/class_0/0.jpg')
    model._config, model._dataset_meta = model.cfg, model.dataset_meta
    (expected,) = ImageClassificationInferencer(model, pretrained=False)('photos/class_0/0.jpg')
    torch.testing.assert_close(sample.pred_score.numpy(), expected['pred_scores'])
    assert sample.pred_label.item() == expected['pred_label']
    assert expected['pred_class'] == f'kind {sample.pred_label.item()}'


@pytest.mark.parametrize('task', TASKS)
def test_folder_is_drawn_into_the_same_folders(build, task):
    model = build(task)
    samples = inference(model, 'photos', out_dir='drawn', score_threshold=0.0)
    assert len(samples) == 4
    images = sorted(Path('photos').rglob('*.jpg'))
    drawn = sorted(Path('drawn').rglob('*.jpg'))
    assert [path.relative_to('drawn') for path in drawn] == [path.relative_to('photos') for path in images]
    before, after = pixels(images[0]), pixels(drawn[0])
    assert before.shape != after.shape or np.abs(before - after).mean() > 1


def test_segments_have_the_colours_of_the_classes(build):
    model = build('segmentation')
    model.dataset_meta['palette'] = [[250, 20, 20]] * 150
    sample = inference(model, ['photos/class_0/0.jpg'], 'drawn', opacity=1.0)[0]
    assert 'seg_logits' not in sample
    drawn = pixels('drawn/0.jpg')
    assert drawn.shape == (72 * 4, 80 * 4, 3)  # small images are enlarged, so that names can be read
    assert np.abs(np.median(drawn, (0, 1)) - [250, 20, 20]).max() < 20


def test_names_stand_where_mmseg_writes_them():
    from mmseg.visualization import SegLocalVisualizer

    labels = np.random.default_rng(0).integers(0, 40, (30, 50))
    for label in range(40):
        mask = (labels == label).astype(np.uint8)
        expected = SegLocalVisualizer()._get_center_loc(mask)
        assert place_of_name(mask).tolist() == expected.tolist()


def test_colours_of_the_image_are_kept(build):
    Image.new('RGB', (300, 280), (200, 100, 0)).save('orange.png')
    for task in ('segmentation', 'classification'):
        inference(build(task), 'orange.png', task, opacity=0.0)
        assert np.median(pixels(f'{task}/orange.png'), (0, 1)).tolist() == [200, 100, 0]


def test_a_decoded_data_set_gives_rgb(build):
    """A pipeline without a step that loads, as CIFAR's, is for RGB; others of mmcv are for BGR."""
    model = build('classification')
    red = Image.new('RGB', (40, 40), (255, 0, 0))
    red.save('red.png')
    inputs = []
    step = model.test_step
    model.test_step = lambda data: inputs.append(data['inputs'][0][:, 0, 0].tolist()) or step(data)
    inference(model, 'red.png')
    dataset = model.cfg.test_dataloader.dataset
    dataset.pipeline = [entry for entry in dataset.pipeline if entry.type != 'LoadImageFromFile']
    inference(model, 'red.png')
    assert inputs == [[0, 0, 255], [255, 0, 0]]


def test_lists_keep_names_apart(build):
    shutil.copy('photos/class_0/0.jpg', 'photos/scan.gif')
    Image.open('photos/class_0/0.jpg').save('photos/scan.gif')
    images = ['photos/class_0/0.jpg', Path('photos/class_1/0.jpg'), 'photos/class_1']
    found = dict(iter_inference(build('classification'), images, 'drawn', progress=False))
    assert list(found) == ['photos/class_0/0.jpg', 'photos/class_1/0.jpg', 'photos/class_1/1.jpg']
    assert sorted(map(str, Path('drawn').rglob('*.*'))) == [
        'drawn/class_0/0.jpg',
        'drawn/class_1/0.jpg',
        'drawn/class_1/1.jpg',
    ]


@pytest.mark.parametrize('task', TASKS)
def test_description_has_the_names_of_the_checkpoint(build, task):
    model, said = build(task), META[task]['classes'][0].removesuffix('0')
    assert said in task_of(model).describe(model, inference(model, 'photos/class_0/0.jpg'), 0.0)


def test_bar_for_several_images_only(build, capsys):
    model = build('classification')
    inference(model, 'photos/class_0/0.jpg')
    assert 'Inference' not in capsys.readouterr().err
    inference(model, 'photos')
    assert 'Inference' in capsys.readouterr().err


def test_missing_images(build):
    model = build('classification')
    Path('empty').mkdir()
    with pytest.raises(DataError, match='There is no image nowhere.jpg'):
        inference(model, ['photos', 'nowhere.jpg'])
    with pytest.raises(DataError, match='no image in the folder empty'):
        inference(model, 'empty')
    with pytest.raises(DataError, match='list of images is empty'):
        inference(model, [])


def test_damaged_image_is_named_and_the_others_go_on(build, log):
    Path('photos/bad.jpg').write_bytes(b'no picture')
    model = build('classification')
    samples = inference(model, ['photos/class_0/0.jpg', 'photos/bad.jpg', 'photos/class_1'], 'drawn', progress=False)
    assert [sample is None for sample in samples] == [False, True, False, False]
    assert len(list(Path('drawn').rglob('*.jpg'))) == 3
    (warning,) = [record for record in log.records if record.levelname == 'WARNING']
    assert '1 of 4 images cannot be read. photos/bad.jpg is not an image' in warning.getMessage()


def test_no_image_that_can_be_read_is_an_error(build):
    model = build('classification')
    for name in ('bad', 'worse'):
        Path('photos', f'{name}.jpg').write_bytes(b'no picture')
    with pytest.raises(DataError, match='^photos/bad.jpg is not an image that can be read'):
        inference(model, 'photos/bad.jpg')
    with pytest.raises(DataError, match='2 of 2 images cannot be read. photos/bad.jpg .* photos/worse.jpg '):
        inference(model, ['photos/bad.jpg', 'photos/worse.jpg'], progress=False)


def test_image_that_would_fill_the_memory_is_named(build):
    Image.new('1', (20000, 10000)).save('photos/map.png')
    with pytest.raises(DataError, match=r'photos/map.png is not .* \(Image size \(200000000 pixels\) exceeds limit'):
        inference(build('segmentation'), 'photos/map.png')


def test_device_and_opacity_that_cannot_be(build, trained):
    for device in ('xyz', 'cuda:99'):
        with pytest.raises(ConfigError, match=f'device={device} cannot be used here'):
            init_model(*trained('segmentation'), device=device)
    with pytest.raises(ConfigError, match='opacity=7 is no share'):
        inference(build('segmentation'), 'photos', opacity=7)


def test_images_are_never_overwritten(build):
    before = Path('photos/class_0/0.jpg').read_bytes()
    with pytest.raises(ConfigError, match='out_dir photos would overwrite'):
        inference(build('classification'), ['photos/class_0/0.jpg', 'photos/class_1/0.jpg'], 'photos')
    assert Path('photos/class_0/0.jpg').read_bytes() == before


def test_pictures_never_lie_among_the_images(build):
    """Else they would be images of the next call."""
    with pytest.raises(ConfigError, match='out_dir photos/drawn lies in the folder of images photos'):
        inference(build('classification'), 'photos', 'photos/drawn')


def test_weights_that_do_not_fit_are_refused(trained, tmp_path):
    config, weights = trained('segmentation')
    content = torch.load(weights)
    content['state_dict'].pop('decode_head.conv_seg.weight')
    torch.save(content, tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='part.pth does not fit the EncoderDecoder.*decode_head.conv_seg.weight'):
        init_model(config, tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='does not fit'):
        init_model(config, trained('classification')[1])
    with pytest.raises(CheckpointError, match='nothing.pth does not exist'):
        init_model(config, 'nothing.pth')


def test_without_names_in_the_checkpoint_those_of_the_config_are_taken(trained, tmp_path):
    config, weights = trained('segmentation')
    torch.save(dict(state_dict=torch.load(weights)['state_dict']), tmp_path / 'bare.pth')
    model = init_model(config, tmp_path / 'bare.pth')
    assert model.dataset_meta['classes'][:2] == ('wall', 'building')


def test_without_a_checkpoint_a_warning_says_what_is_random(trained, log):
    init_model(trained('classification')[0])
    assert 'No checkpoint: what init_cfg does not load is random.' in log.text


def test_overrides_of_a_loader_that_the_config_lacks(trained, tmp_path):
    cfg = Config.fromfile(trained('segmentation')[0])
    cfg.pop('test_dataloader')
    model = init_model(cfg, cfg_options={'test_dataloader.batch_size': 1})
    assert model.dataset_meta['classes'][0] == 'wall'  # of val_dataloader
    cfg.pop('val_dataloader')
    with pytest.raises(ConfigError, match='neither test_dataloader nor val_dataloader'):
        init_model(cfg, cfg_options={'test_dataloader.batch_size': 1})


def test_config_of_another_task_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='neither test_dataloader nor val_dataloader'):
        init_model(str(ROOT / 'tests/data/ibot_tiny.py'))
    with pytest.raises(ConfigError, match='FeatureExtractor predicts nothing to show'):
        init_model(str(ROOT / 'tests/data/knn_tiny.py'))
    with pytest.raises(ConfigError, match='There is no config nowhere.py'):
        init_model('nowhere.py')


def test_missing_toolbox_is_said(monkeypatch):
    find = 'mim_plugin.apis.tasks.importlib.util.find_spec'
    monkeypatch.setattr(find, lambda name: None)
    with pytest.raises(ConfigError, match='my.py needs mmseg, which is not installed: pip install onedl-mmseg'):
        check_toolbox(Config(dict(default_scope='mmseg'), filename='my.py', cfg_text='...'))


@pytest.mark.ops
def test_notebook_runs(trained, tmp_path, monkeypatch):
    """Every code cell, with a tiny model in the place of the quickstart's."""
    monkeypatch.chdir(tmp_path)
    write_image_folder('photos')
    cells = json.loads((ROOT / 'docs/inference.ipynb').read_text())['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    assert not any(cell['outputs'] for cell in code)
    settings, *steps = [''.join(cell['source']) for cell in code]
    names = {}
    exec(settings, names)
    for task in CONFIGS:
        config, checkpoint = trained(task)
        names.update(config=config, checkpoint=checkpoint, images='photos', out_dir=f'drawn/{task}')
        for step in steps:
            exec(step, names)
        assert len(list(Path(f'drawn/{task}').rglob('*.jpg'))) == 4
