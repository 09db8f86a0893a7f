"""The quickstart from the first to the last step."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope

from mim_plugin.apis.config_errors import read_config
from mim_plugin.apis.long_commands.color_classifier import color_row
from mim_plugin.apis.long_commands.folders import SPLITS, ClassFolders, ImageData, detect_layout, read_scenes
from mim_plugin.apis.long_commands.labelled_images import LabelledImages, load_labelled_images
from mim_plugin.apis.long_commands.machine import describe_machine, package_versions
from mim_plugin.apis.long_commands.progress import Progress, duration
from mim_plugin.apis.long_commands.segmentation import scene_pairs, segmentation_picture
from mim_plugin.apis.quickstart import features, pictures, report, training
from mim_plugin.apis.quickstart.options import METHOD_NAMES, QuickstartOptions
from mim_plugin.apis.quickstart.scenes import prepare_scenes
from mim_plugin.apis.quickstart.solar import CLASS_NAMES, held_out, prepare_solar_cells, read_labels, split_summary
from mim_plugin.apis.quickstart.state import RunState
from mim_plugin.apis.run import find_last_checkpoint
from mim_plugin.checkpoints import load_pretrained
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor

__all__ = ['run_quickstart']

RANDOM, SHIPPED, COLOR = 'random weights', 'shipped checkpoint', 'colour classifier'


@dataclass
class Job:
    """What the steps share.

    Attributes:
        options: What the user chose.
        state: What finished steps found.
        progress: Lines for people.
        config: The pretraining config.
        data: The images; None until the first step has made them.
    """

    options: QuickstartOptions
    state: RunState
    progress: Progress
    config: Config
    data: ImageData | None = None

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return Path(self.options.work_dir)

    @property
    def trained_name(self) -> str:
        """What the pretrained network is called in tables."""
        name = METHOD_NAMES[self.options.method]
        return f'{name} from random weights' if self.options.from_scratch else f'checkpoint + {name} on these images'

    @property
    def avgpool(self) -> int:
        """Features of the method: [CLS] (0) of iBOT; mean of the patches (1) of BEiT, which trains no [CLS]."""
        return 1 if self.options.method == 'beit' else 0

    @property
    def trained(self) -> str | None:
        """The result of the pretraining, also when the work folder was moved since."""
        return find_last_checkpoint(self.folder / 'pretrain')

    @cached_property
    def images(self) -> LabelledImages:
        """Labelled images, decoded at the first use."""
        return load_labelled_images(self.data.classes, self.config.feature_pipeline)

    def network(self, checkpoint: str | Path | None, avgpool: int = 0) -> FeatureExtractor:
        """The backbone with random weights or those of a file; ``avgpool`` as :class:`FeatureExtractor` has it."""
        torch.manual_seed(self.options.seed)
        parts = {key: self.config.model[key] for key in ('backbone', 'data_preprocessor')}
        model = FeatureExtractor(**parts, avgpool=avgpool)
        if checkpoint is not None:
            load_pretrained(model.backbone, str(checkpoint), logger=self.progress.logger)
        return model.eval()

    def row(self, name: str, checkpoint: str | Path | None, avgpool: int) -> dict:
        """Scores a network's frozen features."""
        model = self.network(checkpoint, avgpool)
        return features.feature_row(name, model, self.images, self.options.seed, get_device())


def _prepare_data(job: Job) -> dict:
    target = job.folder / 'data'
    prepare_solar_cells(target / 'solar')
    prepare_scenes(target / 'scenes', seed=job.options.seed)
    paths, defective, kinds = read_labels()
    summary = split_summary(defective, held_out(len(paths)), kinds)
    job.progress.say(summary)
    return {'solar cells': summary}


def _built_in_data(folder: Path) -> ImageData:
    """The images that the first step has written."""
    solar = folder / 'data' / 'solar'
    classes = ClassFolders(solar / 'train', solar / 'val', CLASS_NAMES, 'solar cells, defective or functional')
    scenes = read_scenes(folder / 'data' / 'scenes', composed=True)
    return ImageData('solar cells and composed scenes', classes.train, classes, scenes)


def _features_before(job: Job) -> dict:
    rows = features.baseline_rows(job.images, job.options.seed)
    rows.append(job.row(RANDOM, None, job.avgpool))
    start = training.shipped_checkpoint(job.options)
    if start is not None:
        rows.append(job.row(SHIPPED, start, 0))  # iBOT made it: its [CLS]
    train, test = job.images.labels('train'), job.images.labels('test')
    return {'rows': rows, 'train': len(train), 'test': len(test), 'few': features.few_labels(train)}


def _pretrain(job: Job) -> dict:
    return training.pretrain(job.data.images, job.folder / 'pretrain', job.options, job.progress)


def _features_after(job: Job) -> dict:
    row = job.row(job.trained_name, job.trained, job.avgpool)
    found = {'rows': [row]}
    if 'auc' in row['knn']:
        labels = job.images.labels('test')
        positives = int((labels == 1).sum())
        found['auc_error'] = round(features.auc_error(row['knn']['auc'], positives, len(labels) - positives), 2)
    return found


def _segment(job: Job, name: str, folder: str, checkpoint: str | None) -> dict:
    target = job.folder / 'segmentation' / folder
    return training.finetune(name, job.data.scenes, checkpoint, target, job.options, job.progress)


def _segment_trained(job: Job) -> dict:
    return {'rows': [_segment(job, f'UPerNet, {job.trained_name}', 'trained', job.trained)]}


def _segment_random(job: Job) -> dict:
    rows = [color_row(job.data.scenes, job.folder / 'segmentation' / 'colour' / 'predictions', job.options.seed)]
    return {'rows': [*rows, _segment(job, f'UPerNet, {RANDOM}', 'random', None)]}


def _draw(job: Job) -> dict:
    target = job.folder / 'pictures'
    target.mkdir(parents=True, exist_ok=True)
    who = '[CLS]' if job.avgpool == 0 else 'the middle patch'
    title = (
        f'Self-attention of {who} in the last block, {job.trained_name}; each map from its least to its largest weight'
    )
    figures = {
        'views': lambda: pictures.views_picture(job.config, job.data.images, job.options.seed),
        'attention': lambda: pictures.attention_picture(job.network(job.trained), job.data, title, job.avgpool == 0),
        'curves': lambda: pictures.curves_picture(job.folder / 'pretrain'),
    }
    if job.data.scenes is not None:
        # The longest name is broken in two to fit above its column.
        folders = {COLOR: 'colour', RANDOM: 'random', job.trained_name.replace(' on ', '\non '): 'trained'}
        folders = {name: job.folder / 'segmentation' / part / 'predictions' for name, part in folders.items()}
        figures['segmentation'] = lambda: segmentation_picture(job.data.scenes, folders)
    for name, draw in figures.items():
        draw().savefig(target / f'{name}.png')
    return {'pictures': [str(target / f'{name}.png') for name in figures]}


@dataclass(frozen=True)
class Step:
    """One step of the run.

    Attributes:
        title: What happens, for people.
        cost: Seconds on two CPU cores.
        run: Does it; its result goes into the state file.
        needs: Part of the data without which the step is skipped.
    """

    title: str
    cost: float
    run: Callable[[Job], dict]
    needs: str | None = None


STEPS = {
    'data': Step('solar cells from the elpv-dataset package, scenes composed of photographs', 8, _prepare_data),
    'features_before': Step('frozen features before, and without a network', 15, _features_before, 'classes'),
    'pretrain': Step('pretraining on images without labels', 140, _pretrain),
    'features_after': Step('frozen features after pretraining', 5, _features_after, 'classes'),
    'segment_trained': Step('segmentation, fine-tuned from the result', 105, _segment_trained, 'scenes'),
    'segment_random': Step('segmentation, by colour alone and from random weights', 110, _segment_random, 'scenes'),
    'draw': Step('pictures', 8, _draw),
}
MISSING = {
    'classes': 'no class folders train/CLASS and val/CLASS',
    'scenes': 'no images/{training,validation} and annotations/{training,validation}',
}


def run_quickstart(options: QuickstartOptions) -> dict:
    """Runs everything, or with ``options.resume`` what is left of it.

    Args:
        options: What the user chose.

    Returns:
        The content of ``summary.json``.

    Raises:
        MIMError: If an option, the data or a checkpoint cannot work.
    """
    begin = time.monotonic()
    config = read_config(str(options.configs[0]))
    training.shipped_checkpoint(options)
    data = None if options.data is None else detect_layout(options.data)
    state = RunState(options)
    keys = [key for key in STEPS if not (key == 'data' and data is not None)]
    progress = Progress({key: STEPS[key].cost for key in keys}, Path(options.work_dir) / 'quickstart.log')
    job = Job(options, state, progress, config, data)
    for key in keys:
        _run_step(job, key)
        if job.data is None:
            job.data = _built_in_data(job.folder)
    return _close(job, time.monotonic() - begin)


def _run_step(job: Job, key: str) -> None:
    step = STEPS[key]
    if key in job.state.steps:
        job.progress.skip(key, f'{step.title}: done before')
        return
    if step.needs is not None and getattr(job.data, step.needs) is None:
        job.progress.skip(key, f'{step.title}: skipped, {job.options.data} has {MISSING[step.needs]}')
        return
    job.progress.start(key, step.title)
    begin = time.monotonic()
    # A Runner leaves its default scope behind; each step finds that of this package.
    with DefaultScope.overwrite_default_scope('mim_plugin'):
        result = step.run(job)
    job.state.finish(key, time.monotonic() - begin, result)
    job.progress.finish()


def _close(job: Job, seconds: float) -> dict:
    """Prints the tables and writes them beside summary.json."""
    state, data = job.state, job.data
    frozen = [*state.result('features_before').get('rows', []), *state.result('features_after').get('rows', [])]
    masks = [*state.result('segment_random').get('rows', []), *state.result('segment_trained').get('rows', [])]
    lines = []
    if frozen:
        found = state.result('features_before')
        error = state.result('features_after').get('auc_error')
        counts = (found['train'], found['test'])
        lines += ['', *report.feature_table(frozen, data.classes.target, counts, found['few'], error)]
    if masks:
        counts = tuple(len(scene_pairs(data.scenes, split)) for split in SPLITS)
        lines += ['', *report.segmentation_table(masks, data.scenes.names, counts, data.scenes.composed)]
    total = sum(step['seconds'] for step in state.steps.values())
    lines += ['', f'Measured on this machine in {duration(total)}. Pictures: {job.folder / "pictures"}']
    lines += [f'All figures: {job.folder / "summary.json"}']
    summary = {
        'data': data.name,
        'options': state.identity,
        'frozen_features': frozen,
        'segmentation': masks,
        'pretraining': state.result('pretrain'),
        'steps': state.steps,
        'seconds': round(total, 1),
        'seconds_of_this_session': round(seconds, 1),
        'machine': describe_machine(get_device()),
        'versions': package_versions(),
    }
    (job.folder / 'summary.json').write_text(json.dumps(summary, indent=1), encoding='utf-8')
    (job.folder / 'table.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    print('\n'.join(lines), flush=True)
    return summary
