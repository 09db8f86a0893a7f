"""HeadWarmupHook and FeatureGuardHook in trainings of a tiny iBOT that goes on from a file."""

import itertools
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mim_plugin.apis.run import build_runner, prepare_config, train
from mim_plugin.checkpoints import read_checkpoint
from mim_plugin.engine.hooks import feature_guard
from mim_plugin.engine.optim import cosine_schedule, pretrain_groups
from mim_plugin.errors import CheckpointError, ConfigError, DataError, FeaturesGotWorseError
from mim_plugin.testing.images import write_image_folder
from tests.test_checkpoints.tiny import make_ibot, official_file

CONFIG = Path(__file__).parents[2] / 'data/ibot_tiny.py'
HEAD = {'out_dim': 32, 'hidden_dim': 32, 'bottleneck_dim': 16}
APART = {'optim_wrapper.paramwise_cfg': {'apart': r'backbone\.(?!mask_token)'}}
WARMUP = {'type': 'HeadWarmupHook', 'epochs': 1.5, 'release_epochs': 1}  # 3 iterations and 2 more
MOMENTUM = {'type': 'MomentumTeacherHook', 'momentum': 0.9}

_numbers = itertools.count()


class Recorder(Hook):
    """The rates of every iteration, and all parameters after it."""

    priority = 'LOWEST'

    def __init__(self):
        self.states, self.rates = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append([group['lr'] for group in runner.optim_wrapper.optimizer.param_groups])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.states.append({name: p.detach().clone() for name, p in runner.model.named_parameters()})


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """images/ (8 in two classes), full.pth (official, with heads) and backbone.pth."""
    root = tmp_path_factory.mktemp('start')
    write_image_folder(root / 'images', per_class=4)
    model = make_ibot(head=HEAD)
    with torch.no_grad():  # random normal weights make gradients of any size
        for value in model.parameters():
            value.mul_(0.1)
    official_file(model, root / 'full.pth')
    backbone = {f'backbone.{name}': value for name, value in model.tokenizer.backbone.state_dict().items()}
    torch.save(backbone, root / 'backbone.pth')
    return root


@pytest.fixture
def make_runner(folder, tmp_path):
    def make(start='backbone.pth', hooks=(WARMUP,), work_dir='work', epochs=4, resume=None, changes=()):
        cfg = Config.fromfile(CONFIG)
        data = {'train_dataloader.dataset.data_root': str(folder / 'images')}
        cfg.merge_from_dict({'train_cfg.max_epochs': epochs, **data, **APART, **dict(changes)})
        cfg.custom_hooks = [MOMENTUM, *hooks]
        cfg.load_from = start and str(folder / start)
        cfg.experiment_name = f'continued_{next(_numbers)}'
        runner = build_runner(prepare_config(cfg, work_dir=str(tmp_path / work_dir), resume=resume))
        runner.recorder = Recorder()
        runner.register_hook(runner.recorder)
        return runner

    return make


def assert_same(state, other):
    assert all(torch.equal(value, other[name]) for name, value in state.items())


def changed(runner, before, after):
    states = runner.recorder.states
    return {name for name, value in states[after].items() if not torch.equal(value, states[before][name])}


def test_the_backbone_rests_while_new_heads_learn(make_runner, folder):
    runner = make_runner()
    runner.train()
    file = read_checkpoint(str(folder / 'backbone.pth'))
    states = runner.recorder.states
    assert_same(file, states[2])  # after three iterations
    for name, value in file.items():
        torch.testing.assert_close(states[2][f'tokenizer.{name}'], value)
    early = changed(runner, 0, 2)
    assert {'head.mlp.0.weight', 'head.last_layer.weight_v', 'backbone.mask_token'} <= early
    assert not {name for name in early if name.startswith('backbone.')} - {'backbone.mask_token'}
    assert {f'backbone.layers.{i}.attn.qkv.weight' for i in range(2)} <= changed(runner, 2, 3)


def test_rates_of_the_release(make_runner):
    runner = make_runner()
    runner.train()
    groups = runner.optim_wrapper.optimizer.param_groups
    assert [group.get('apart', False) for group in groups] == [False, False, True, True]
    rates = runner.recorder.rates
    assert [rate[2] / rate[0] for rate in rates] == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1])
    assert [rate[3] for rate in rates] == [rate[2] for rate in rates]
    plain = cosine_schedule(0.1, 0.01, 8).tolist()
    assert [rate[0] for rate in rates] == pytest.approx(plain)


def test_short_epochs_count_for_more(make_runner):
    warmup = {'type': 'HeadWarmupHook', 'epochs': 0.5, 'release_epochs': 0.5, 'min_iters': 3}
    runner = make_runner(hooks=[warmup])
    runner.train()
    shares = [rate[2] / rate[0] for rate in runner.recorder.rates]
    assert shares == pytest.approx([0, 0, 0, 1 / 4, 2 / 4, 3 / 4, 1, 1])


def test_heads_of_the_file_need_no_warmup(make_runner):
    runner = make_runner('full.pth')
    runner.train()
    assert runner.model.started_from == 'everything'
    assert all(rates[0] == rates[2] for rates in runner.recorder.rates)
    assert 'backbone.layers.0.attn.qkv.weight' in changed(runner, 0, 1)


def test_the_students_backbone_alone(make_runner, folder):
    init = {'model.backbone.init_cfg': {'type': 'Pretrained', 'checkpoint': str(folder / 'full.pth')}}
    runner = make_runner(None, changes=init)
    runner.train()
    assert runner.model.started_from == 'backbone'
    assert 'backbone.layers.0.attn.qkv.weight' not in changed(runner, 0, 2)


def test_resumed_in_the_warmup(make_runner, tmp_path):
    whole = make_runner(epochs=4)
    whole.train()
    for name in ('epoch_1', 'epoch_2'):  # within the rest, within the release
        resumed = make_runner(work_dir=name, resume=str(tmp_path / f'work/{name}.pth'))
        resumed.train()
        assert_same(resumed.recorder.states[-1], whole.recorder.states[-1])


def test_resumed_with_groups_that_the_file_does_not_have(make_runner, folder, tmp_path):
    make_runner(hooks=(), epochs=1, changes={'optim_wrapper.paramwise_cfg': {}}).train()
    options = {'train_dataloader.dataset.data_root': str(folder / 'images'), **APART}
    resume, work_dir = f'{tmp_path}/work/epoch_1.pth', f'{tmp_path}/resumed'
    cfg = prepare_config(str(CONFIG), work_dir=work_dir, resume=resume, cfg_options=options)
    with pytest.raises(CheckpointError, match=r'epoch_1.pth cannot be resumed: .* weights alone with load_from=FILE'):
        train(cfg)


def test_what_a_head_warmup_needs(make_runner):
    with pytest.raises(ConfigError, match='starts from random weights; set load_from=FILE'):
        make_runner(None).train()
    with pytest.raises(ConfigError, match=r'no parameters to let rest; name them in optim_wrapper.paramwise_cfg'):
        make_runner(changes={'optim_wrapper.paramwise_cfg': {}}).train()
    with pytest.raises(ConfigError, match='set anew in every step'):
        make_runner(changes={'param_scheduler': [{'type': 'ConstantLR', 'factor': 1.0}]}).train()
    with pytest.raises(ConfigError, match="No parameter begins with apart='bakbone'"):
        make_runner(changes={'optim_wrapper.paramwise_cfg': {'apart': 'bakbone'}}).train()
    with pytest.raises(ConfigError, match='none can be negative'):
        make_runner(hooks=[{**WARMUP, 'epochs': -1}])
    with pytest.raises(ConfigError, match='rest for 8 iterations, and the training has 8, .* would learn nothing'):
        make_runner(hooks=[{**WARMUP, 'epochs': 4}]).train()


def test_a_model_that_does_not_tell_what_its_file_filled(folder, tmp_path):
    cfg = Config.fromfile(CONFIG.parent / 'beit_tiny.py')
    cfg.train_dataloader.dataset.data_root = str(folder / 'images')
    cfg.optim_wrapper.paramwise_cfg.apart = 'backbone'
    cfg.custom_hooks = [WARMUP]
    cfg.experiment_name = f'continued_{next(_numbers)}'
    with pytest.raises(ConfigError, match='BEiT does not tell whether its head was in the file; leave the hook out'):
        build_runner(prepare_config(cfg, work_dir=str(tmp_path))).train()


def test_groups_apart_hold_every_parameter_once():
    model = make_ibot(head=HEAD)
    plain, apart = pretrain_groups(model), pretrain_groups(model, apart='backbone')
    plain, count = ([len(group['params']) for group in groups] for groups in (plain, apart))
    assert plain == [count[0] + count[2], count[1] + count[3]]
    backbone = {id(p) for p in model.backbone.parameters()}
    assert {id(p) for group in apart[2:] for p in group['params']} == backbone
    assert [group.get('weight_decay') for group in apart] == [None, 0.0, None, 0.0]


# The guard


def guard(folder, **options):
    pipeline = [{'type': 'LoadImagePIL'}, {'type': 'CenterCrop', 'size': 32}, {'type': 'PackImage'}]
    return {
        'type': 'FeatureGuardHook',
        'bank_dataloader': {
            'batch_size': 4,
            'num_workers': 0,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': {'type': 'ImageFolderLabels', 'data_root': str(folder / 'images'), 'pipeline': pipeline},
        },
        'k': 2,
        'interval': 1,
        **options,
    }


@pytest.fixture
def figures(monkeypatch):
    """Lets the guard see given figures instead of measured ones."""
    from mim_plugin.evaluation import FrozenFeatureProtocol

    def give(values):
        values = iter(values)
        monkeypatch.setattr(FrozenFeatureProtocol, 'run', lambda *args: {'knn/top1_k2': next(values)})

    return give


def test_a_training_goes_on_while_features_stay(make_runner, folder, tmp_path):
    runner = make_runner(hooks=[guard(folder, tolerance=100)], epochs=2)
    runner.train()
    known = runner.message_hub.get_info('feature_guard')
    assert 0 <= known['start'] <= known['best'] <= 100
    assert len(runner.recorder.states) == 4


def test_a_ruin_stops_the_training(make_runner, folder, figures, tmp_path):
    figures([50.0, 50.0, 62.5, 4.0])
    runner = make_runner(hooks=[guard(folder)])
    # sqrt(.5 * .5 / 12) = 14.4 %, two of them are 28.9
    with pytest.raises(FeaturesGotWorseError, match='4.0 after iteration 3, 3.2 standard errors below 50') as error:
        runner.train()
    files = f'{tmp_path}/work/worse_iter_3.pth, the best weights (62.5) are {tmp_path}/work/best_features.pth'
    assert files in str(error.value)
    best, last = (read_checkpoint(f'{tmp_path}/work/{name}.pth') for name in ('best_features', 'worse_iter_3'))
    assert best['meta']['iter'] == 2 and last['meta']['iter'] == 3
    assert 'optimizer' in last and 'optimizer' not in best
    assert_same(runner.recorder.states[1], best['state_dict'])


def test_it_may_only_warn_and_count_epochs(make_runner, folder, figures, tmp_path):
    figures([50.0, 4.0, 5.0])
    runner = make_runner(hooks=[guard(folder, stop=False, by_epoch=True)], epochs=2)
    runner.train()
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert log.count('The features got worse') == 2 and 'is 4.0 after epoch 1,' in log


def test_a_resumed_run_knows_the_start(make_runner, folder, figures, tmp_path):
    figures([50.0, 50.0, 50.0, 50.0, 50.0])
    make_runner(hooks=[guard(folder)], epochs=2).train()
    figures([4.0])
    resumed = make_runner(hooks=[guard(folder)], resume=str(tmp_path / 'work/epoch_1.pth'))
    with pytest.raises(FeaturesGotWorseError, match='below 50.0 at the start; .*those of the start are the best'):
        resumed.train()


def test_the_best_weights_stay_where_they_are(make_runner, folder, figures, tmp_path):
    figures([50.0, 62.5, 62.5])
    make_runner(hooks=[guard(folder)], epochs=1).train()
    figures([4.0])
    resumed = make_runner(hooks=[guard(folder)], work_dir='other', resume=str(tmp_path / 'work/epoch_1.pth'))
    with pytest.raises(FeaturesGotWorseError, match=rf'best weights \(62.5\) are {tmp_path}/work/best_features.pth'):
        resumed.train()


def test_no_process_leaves_before_the_weights_are_saved(make_runner, folder, figures, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(feature_guard, 'barrier', lambda: saved.extend(tmp_path.glob('work/worse_iter_1.pth')))
    figures([50.0, 4.0])
    with pytest.raises(FeaturesGotWorseError):
        make_runner(hooks=[guard(folder)]).train()
    assert saved


@pytest.mark.parametrize(
    ('prefix', 'message'),
    [
        ('val', r'images/val does not exist; set data_root .*leave it out with --no-validate\.$'),
        ('class_0', r'class_0 holds no image; .*leave it out with --no-validate\.$'),
        ('../one', r'All labelled images are of one class, class_0, .*leave it out with --no-validate\.$'),
    ],
)
def test_without_labelled_images(make_runner, folder, prefix, message):
    write_image_folder(folder / 'one', per_class=3, classes=1)
    unlabelled = guard(folder)
    unlabelled['bank_dataloader']['dataset']['data_prefix'] = prefix
    with pytest.raises(DataError, match=message):
        make_runner(hooks=[unlabelled]).train()


def test_what_a_guard_needs(make_runner, folder):
    with pytest.raises(ConfigError, match='tolerance=-1; give standard errors, 0 or more'):
        make_runner(hooks=[guard(folder, tolerance=-1)])
    with pytest.raises(ConfigError, match=r'k=8 asks for more neighbours than the bank of 7 labelled images'):
        make_runner(hooks=[guard(folder, k=8)]).train()
