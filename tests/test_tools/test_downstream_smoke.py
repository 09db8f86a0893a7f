"""tools/benchmarks/downstream_smoke.py: as a user types it, and its parts."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from mim_plugin.apis.downstream_smoke import SmokeOptions, downstream_smoke, job, pictures, training
from mim_plugin.apis.downstream_smoke.data import read_data
from mim_plugin.apis.downstream_smoke.four_images import choose_four_images
from mim_plugin.apis.downstream_smoke.options import TASKS
from mim_plugin.apis.downstream_smoke.report import table
from mim_plugin.apis.long_commands.folders import SPLITS
from mim_plugin.errors import ConfigError, DataError, MIMError
from mim_plugin.testing.coco_images import write_coco_folder
from mim_plugin.testing.images import write_image_folder, write_segmentation_folder
from tests.fresh_python import FreshPython

pytest.importorskip('mmseg')
pytest.importorskip('mmpretrain')
pytest.importorskip('mmdet')
ROOT = Path(__file__).parents[2]
VOID = 3  # the label after the three classes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The three kinds of data, generated: 3 classes and void, 2 classes of photos, 4 images with objects."""
    root = tmp_path / 'data'
    for split in SPLITS:
        write_segmentation_folder(root / f'seg/images/{split}', root / f'seg/annotations/{split}', classes=VOID + 1)
    (root / 'seg/classes.json').write_text(json.dumps({'classes': ['road', 'sky', 'tree']}))
    for split in ('train', 'val'):
        write_image_folder(root / 'imagenet_like' / split, per_class=3)
    for split in ('train2017', 'val2017'):
        folder = root / 'coco_mini'
        write_coco_folder(folder / split, folder / f'annotations/instances_{split}.json', ['box', 'cat', 'dog'])
    return root


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes longer than the training."""
    monkeypatch.setattr('mmengine.runner.Runner._log_env', lambda self, env_cfg: None)


def options(data: Path, **changes) -> SmokeOptions:
    settings = dict(work_dir=data.parent / 'work', tasks=('linear',), seeds=1, iterations=2)
    return SmokeOptions(data, **settings | changes)


def smoke_of(data: Path, *tasks: str) -> job.Smoke:
    chosen = options(data, tasks=tasks)
    return job.Smoke(chosen, read_data(data, tasks, chosen.work_dir), job._results(chosen, data))


def begun(monkeypatch: pytest.MonkeyPatch, stop_at: int | None = None, error=KeyboardInterrupt) -> list[str]:
    """Task, start and seed of the trainings that are begun; ``error`` at one of them."""
    found, train = [], job.train

    def watched(smoke, name, start, seed):
        found.append(f'{name} {start} {seed}')
        if len(found) == stop_at:
            raise error
        return train(smoke, name, start, seed)

    monkeypatch.setattr(job, 'train', watched)
    return found


TOOL = ROOT / 'tools/benchmarks/downstream_smoke.py'


def test_the_command_and_its_checkpoints_in_the_test_tool(
    data: Path, monkeypatch: pytest.MonkeyPatch, fresh_python: FreshPython
):
    arguments = ('--tasks', 'linear', '--seeds', '1', '--iterations', '2', '--device', 'cpu')
    done = fresh_python(TOOL, '--data', data, *arguments, cwd=data.parent, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert '| linear head, backbone frozen | mIoU |' in done.stdout
    work = data.parent / 'work_dirs/downstream_smoke'
    assert (work / 'linear.png').stat().st_size > 5000
    assert (work / 'table.md').read_text() in done.stdout
    runs = json.loads((work / 'summary.json').read_text())['runs']
    assert set(runs['linear']) == {'pretrained', 'random'}
    run = runs['linear']['pretrained']['0']
    assert run['metrics'] == run['reloaded'] and run['iterations'] == 2 and run['images'] == 16
    # The same as a user types it.
    monkeypatch.chdir(data.parent)
    path = ROOT / 'tools/test.py'
    spec = importlib.util.spec_from_file_location('test_tool', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    out = data.parent / 'metrics.json'
    tool.main([run['config'], run['checkpoint'], '--work-dir', str(data.parent / 'again'), '--out', str(out)])
    metrics = json.loads(out.read_text())
    assert {key: metrics[key] for key in run['metrics']} == pytest.approx(run['metrics'])


def test_what_failed_is_done_by_the_next_call_alone(data: Path, quick: None, monkeypatch: pytest.MonkeyPatch):
    chosen = options(data, tasks=('classification',))
    with monkeypatch.context() as patch:
        begun(patch, stop_at=2, error=RuntimeError('out of memory'))
        with pytest.raises(MIMError, match='1 of 3 parts failed.*classification.*random weights.*out of memory'):
            downstream_smoke(chosen)
    work = data.parent / 'work'
    assert 'RuntimeError: out of memory' in (work / 'failures.log').read_text()
    assert (work / 'classification.png').stat().st_size > 5000
    assert '| classification | accuracy |' in (work / 'table.md').read_text()
    found = begun(monkeypatch)
    summary = downstream_smoke(chosen)
    assert found == ['classification random 0']
    runs = summary['runs']['classification']
    assert set(runs) == {'pretrained', 'random'} and set(runs['random']['0']['metrics']) == {'accuracy/top1'}
    assert 'imagenet_like' in summary['baselines']
    with pytest.raises(ConfigError, match='results with --iterations 2, but --iterations is 3'):
        downstream_smoke(options(data, iterations=3))


def test_a_run_that_is_stopped_keeps_what_is_done(data: Path, monkeypatch: pytest.MonkeyPatch):
    begun(monkeypatch, stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        downstream_smoke(options(data))
    kept = json.loads((data.parent / 'work/results.json').read_text())
    assert kept['baselines']['seg']['majority class']['aAcc'] > 0 and kept['runs']['linear']['pretrained'] == {}


def test_a_checkpoint_that_gives_other_figures_is_an_error(data: Path, quick: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, 'run_test', lambda *args: {'mIoU': 101.0, 'aAcc': 101.0})
    smoke = smoke_of(data, 'linear')
    smoke.progress = SimpleNamespace(say=lambda *args: None)
    with pytest.raises(MIMError, match=r'mIoU of .*iter_2.pth is 101.0 %, but was .* after its training'):
        training.train(smoke, 'linear', 'random', 0)


@pytest.mark.ops
def test_detection_trains_and_is_drawn(data: Path, quick: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(job, 'STARTS', {'pretrained': 'shipped checkpoint'})  # one is enough here
    summary = downstream_smoke(options(data, tasks=('detection',), seeds=2))
    runs = summary['runs']['detection']
    assert list(runs['pretrained']) == ['0']
    run = runs['pretrained']['0']
    assert run['metrics'] == run['reloaded'] and not run['reached']
    assert set(run['validation']) == {'coco/bbox_mAP', 'coco/segm_mAP'}
    work = data.parent / 'work'
    assert (work / 'detection.png').stat().st_size > 5000 and 'not over 30' in (work / 'table.md').read_text()


@pytest.mark.parametrize('name', TASKS)
def test_the_two_starts_differ_in_the_weights_alone(data: Path, name: str):
    smoke = smoke_of(data, name)
    pretrained, random = (
        training.task_config(smoke, TASKS[name], start, smoke.folder).to_dict() for start in ('pretrained', 'random')
    )
    assert pretrained['model']['backbone'].pop('init_cfg')['checkpoint'].endswith('model.safetensors')
    assert random['model']['backbone'].pop('init_cfg') is None
    assert pretrained == random
    assert random['train_cfg']['max_iters'] == random['train_cfg']['val_interval'] == 2 or TASKS[name].goal


def test_classes_are_those_of_the_data_and_void_is_not_counted(data: Path):
    smoke = smoke_of(data, 'setr-pup', 'classification', 'detection')
    cfg = training.task_config(smoke, TASKS['setr-pup'], 'random', smoke.folder)
    heads = [cfg.model.decode_head, *cfg.model.auxiliary_head]
    assert [head.num_classes for head in heads] == [3] * 4
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    labels = {int(x) for i in range(4) for x in np.unique(dataset[i]['data_samples'].gt_sem_seg.data)}
    assert labels == {0, 1, 2, 255}
    cfg = training.task_config(smoke, TASKS['classification'], 'random', smoke.folder)
    assert cfg.model.head.num_classes == cfg.model.data_preprocessor.num_classes == 2
    cfg = training.task_config(smoke, TASKS['detection'], 'random', smoke.folder)
    assert {head.num_classes for head in cfg.model.roi_head.bbox_head} == {2}
    assert cfg.train_dataloader.dataset.metainfo.classes == smoke.data.four.names == ('box', 'cat')


def test_a_goal_ends_the_training_when_every_part_of_it_is_passed():
    final = training.FinalMetrics({'box': 0.3, 'mask': 0.3})

    class Runner:
        class train_loop:  # noqa: N801
            stop_training = False

    for metrics, stops in (({'box': 0.5, 'mask': 0.3}, False), ({'box': 0.31, 'mask': 0.31}, True)):
        final.after_val_epoch(Runner, metrics)
        assert Runner.train_loop.stop_training == final.reached == stops


def test_four_images_are_those_with_few_objects_of_few_classes(tmp_path: Path):
    root = tmp_path / 'coco'
    names = ['a', 'b', 'c', 'd', 'e', 'f']
    for split in ('train2017', 'val2017'):
        counts = (1, 2, 2, 1, 1, 1)
        write_coco_folder(root / split, root / f'annotations/instances_{split}.json', names, counts)
    path = root / 'annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    for note, category in zip(content['annotations'], (1, 5, 6, 5, 6, 5, 1, 3), strict=True):
        note['category_id'] = category
    content['annotations'][0]['iscrowd'] = 1
    path.write_text(json.dumps(content))
    found = choose_four_images(root, tmp_path / 'four')
    assert found.names == ('a', 'e', 'f')
    chosen = json.loads(found.annotations.read_text())
    # Three classes with the fewest objects; the crowd in the first image is no object to learn.
    assert [image['id'] for image in chosen['images']] == [1, 2, 3, 4]
    assert {note['image_id'] for note in chosen['annotations']} == {image['id'] for image in chosen['images']}
    assert choose_four_images(root, tmp_path / 'four') == found


def test_data_that_cannot_work(data: Path):
    with pytest.raises(DataError, match='--data .*nowhere is no folder'):
        downstream_smoke(options(data / 'nowhere'))
    mask = data / 'seg/annotations/validation/1.png'
    labels = np.array(Image.open(mask))
    Image.fromarray(labels[:-1]).save(mask)
    with pytest.raises(DataError, match=r'masks of another size than their image .1.: .*validation/1.jpg'):
        downstream_smoke(options(data))
    labels[0, 0] = 7
    Image.fromarray(labels).save(mask)
    with pytest.raises(DataError, match=r'neither a class .0 to 2. nor ignored .3, 255., 7 in 1 mask .*1.png .7.'):
        downstream_smoke(options(data))
    path = data / 'coco_mini/annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    content['annotations'].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match='has fewer than 4 images with 1 to 5 objects'):
        downstream_smoke(options(data, tasks=('detection',)))
    del content['annotations'][0]['area']
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match='/instances_train2017.json: objects without area'):
        downstream_smoke(options(data, tasks=('detection',)))
    path.write_text('{"images": []}')
    with pytest.raises(DataError, match=r'instances_train2017.json has no list annotations'):
        downstream_smoke(options(data, tasks=('detection',)))
    path.rename(path.with_suffix('.old'))
    with pytest.raises(DataError, match='no annotation file .*instances_train2017.json'):
        downstream_smoke(options(data, tasks=('detection',)))
    for picture in (data / 'imagenet_like/val/class_1').iterdir():
        picture.unlink()
    with pytest.raises(DataError, match='val/class_1 holds no image'):
        downstream_smoke(options(data, tasks=('classification',)))
    assert not (data.parent / 'work/results.json').exists()


def test_mistakes_in_the_command_are_told_in_one_line(data: Path, fresh_python: FreshPython):
    (data / 'coco_mini').rename(data / 'coco')
    done = fresh_python(TOOL, '--data', data, '--tasks', 'detection', cwd=data.parent)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.startswith(f'error: --data {data} has no folder coco_mini: add it')
    with pytest.raises(ConfigError, match=r"--tasks upernet,yolo: \['yolo'\] is no task; use upernet, setr-pup"):
        options(data, tasks=('upernet', 'yolo'))
    with pytest.raises(ConfigError, match='--iterations 1 is too short'):
        options(data, iterations=1)
    with pytest.raises(ConfigError, match='--seeds 0 trains nothing'):
        options(data, seeds=0)


def test_the_table():
    def run(value: float, **more) -> dict:
        return {'metrics': {'accuracy/top1': value}, 'iterations': 400, 'seconds': 50.0, **more}

    box = {'coco/bbox_mAP': 41.0, 'coco/segm_mAP': 35.5}
    found = dict(metrics=box, validation={key: 0.5 for key in box}, reached=True, iterations=150, seconds=300.0)
    summary = {
        'runs': {
            'classification': {'pretrained': {'0': run(30.0), '1': run(34.0)}, 'random': {'0': run(20.0)}},
            'detection': {'pretrained': {'0': found}},
        },
        'baselines': {'imagenet_like': {'majority class': {'accuracy/top1': 5.0}, 'x': {'accuracy/top1': 37.0}}},
        'four_images_classes': ['dog', 'cat'],
        'checkpoint': 'tiny',
        'machine': {'device': 'cpu', 'cores': 2, 'processor': 'some', 'threads': 1},
    }
    lines = table(summary).splitlines()
    assert lines[2] == '| classification | accuracy | 32.0 ± 2.8 | 20.0 | 5.0 | 37.0 (x) | 400 | 0:50 | 1, 2 |'
    expected = '| Cascade Mask R-CNN | shipped checkpoint | 41.0 | 35.5 | over 30 | 0.5 | 0.5 | 150 | 5:00 |'
    assert expected in lines and 'detection of dog, cat' in lines[4]


def test_captions_of_photos_are_inside_the_picture(data: Path):
    classes = data / 'imagenet_like/val'
    paths = sorted(map(str, classes.rglob('*.jpg')))
    names = sorted(folder.name for folder in classes.iterdir())
    runs = {'0': {'predicted': dict.fromkeys(paths, 0)}}
    smoke = SimpleNamespace(data=SimpleNamespace(classes=SimpleNamespace(names=names)), runs=lambda name, start: runs)
    figure = pictures._photos(smoke, 'classification', ['pretrained', 'random'])
    FigureCanvasAgg(figure).draw()
    titles = [panel.title for panel in figure.axes if panel.get_title()]
    assert len(titles) == len(paths) == 6
    assert max(title.get_window_extent().y1 for title in titles) < figure.bbox.y1 - 3
