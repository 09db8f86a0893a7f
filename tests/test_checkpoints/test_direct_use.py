"""Published files in ``load_from`` and ``init_cfg`` of the toolboxes, through our backbones alone."""

import copy
import functools
import http.server
import logging
import threading

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save_file

from mim_plugin.checkpoints import convert
from mim_plugin.checkpoints.formats import beit, ibot
from mim_plugin.checkpoints.read import READER_VARIABLE, use_reader
from mim_plugin.errors import CheckpointError, ConfigError
from tests.test_checkpoints.test_mmengine_loader import Touch
from tests.test_checkpoints.tiny import assert_same, make_backbone, make_ibot, official_file
from tests.test_toolboxes.conftest import ROOT, TOOLBOXES, python, shipped, user_folder  # noqa: F401  (fixtures)

ARCH = {'embed_dims': 32, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 64}
SIZES = {'arch': ARCH, 'img_size': 64, 'patch_size': 16}
LAYERS = {'mmdet': 4}


def sizes(toolbox):
    return {**SIZES, 'arch': {**ARCH, 'num_layers': LAYERS.get(toolbox, 2)}}


def random_state(model):
    """Numbers that all differ, in place."""
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape).abs())
    return model


@functools.cache
def ibot_of(toolbox, **options):
    return make_ibot(3, **{**sizes(toolbox), **options})


def teacher_of(model, backbone):
    """What the toolbox's backbone should hold."""
    state = model.tokenizer.backbone.state_dict()
    return {name: state[name] for name in backbone.state_dict() if not name.startswith('ln1')}


@functools.cache
def config_of(toolbox):
    return Config.fromfile(ROOT / f'tests/data/swap_{toolbox}.py')


def runner_of(toolbox, folder, **options):
    pytest.importorskip(toolbox)
    cfg = copy.deepcopy(config_of(toolbox))
    cfg.update({'work_dir': str(folder / 'work'), 'experiment_name': folder.name, **options})
    return Runner.from_cfg(cfg)


@pytest.fixture
def log(monkeypatch):
    """Lines that mmengine logs."""
    lines = []
    monkeypatch.setattr(
        logging.Logger, 'handle', lambda self, record: lines.append(record.getMessage()), raising=True
    )
    return lines


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Address of a folder on a server of this machine."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.mark.parametrize('toolbox', TOOLBOXES)
def test_load_from_a_full_file(toolbox, user_folder, log, capsys):  # noqa: F811
    model = ibot_of(toolbox)
    official_file(model, user_folder / 'checkpoint.pth', epoch=800, fp16_scaler={'scale': 1.0})
    runner = runner_of(toolbox, user_folder, load_from='checkpoint.pth')
    heads = {n: v.clone() for n, v in runner.model.state_dict().items() if not n.startswith('backbone.')}
    runner.load_or_resume()
    assert_same(teacher_of(model, runner.model.backbone), runner.model.backbone.state_dict())
    assert_same(heads, runner.model.state_dict())
    text = '\n'.join(log)
    number = len(runner.model.backbone.state_dict())
    origin = 'an official iBOT checkpoint, teacher, without its head'
    assert f'Loaded {number} tensors from checkpoint.pth ({origin})' in text
    assert 'The parts of the model other than its backbone are not in the file and start anew.' in text
    # mmengine prints what that is; nothing that was told of already is told again.
    printed = capsys.readouterr().out
    assert 'head' in printed.split('missing keys in source state_dict: ')[1]
    assert 'unexpected' not in printed and 'backbone.' not in printed


def write(kind, folder, model):
    """A file of a kind, and the tensors of the backbone in it."""
    backbone = model.tokenizer.backbone.state_dict()
    if kind == 'bare':
        torch.save({'state_dict': ibot.backbone_to_official(backbone)}, folder / 'a.pth')
    elif kind == 'timm':
        fc = {'head.weight': torch.ones(1000, 32), 'head.bias': torch.ones(1000)}
        torch.save({**ibot.backbone_to_official(backbone), **fc}, folder / 'a.pth')
    elif kind == 'ours':
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'a.pth')
    elif kind == 'safetensors':
        save_file({f'module.{name}': value for name, value in backbone.items()}, folder / 'a.safetensors')
    elif kind in ('hugging_face', 'mmseg'):
        torch.save({'state_dict': backbone}, folder / 'ours.pth')
        target = folder / ('a.pth' if kind == 'mmseg' else 'folder')
        convert(folder / 'ours.pth', target, to_format=kind)
        if kind == 'hugging_face':
            return str(target / 'model.safetensors')
    return str(next(folder.glob('a.*')))


@pytest.mark.parametrize('kind', ['bare', 'timm', 'safetensors', 'mmseg', 'hugging_face'])
@pytest.mark.parametrize('how', ['load_from', 'init_cfg', 'list of init_cfg'])
def test_kinds_of_files(kind, how, user_folder, log, capsys):  # noqa: F811
    model = ibot_of('mmseg')
    path = write(kind, user_folder, model)
    runner = runner_of('mmseg', user_folder)
    backbone = runner.model.backbone
    if how == 'load_from':
        runner.load_checkpoint(path)
    else:
        entry = {'type': 'Pretrained', 'checkpoint': path}
        backbone.init_cfg = entry if how == 'init_cfg' else [entry]
        backbone.init_weights()
    assert_same(teacher_of(model, backbone), backbone.state_dict())
    own_names = kind == 'safetensors' and how == 'list of init_cfg'  # mmengine needs no help with them
    assert sum(f'tensors from {path}' in line for line in log) == (not own_names)
    # The classifier of another task is not the backbone's business; mmengine names it.
    unexpected = [line for line in capsys.readouterr().out.splitlines() if 'unexpected' in line]
    wanted = ['unexpected key in source state_dict: head.weight, head.bias']
    assert unexpected == (wanted if kind == 'timm' and how == 'load_from' else [])


def test_an_own_training_run(user_folder, log):  # noqa: F811
    """Its names are the model's, so that mmengine takes the student as it always did."""
    model = ibot_of('mmseg')
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, user_folder / 'epoch_1.pth')
    runner = runner_of('mmseg', user_folder, load_from='epoch_1.pth')
    runner.load_or_resume()
    state = model.backbone.state_dict()
    assert_same(state, runner.model.backbone.state_dict(), [n for n in runner.model.backbone.state_dict()])


def test_another_size_is_resized(user_folder, log):  # noqa: F811
    model = make_ibot(3, **{**SIZES, 'img_size': 32})
    official_file(model, user_folder / 'small.pth')
    runner = runner_of('mmseg', user_folder, load_from='small.pth')
    runner.load_or_resume()
    assert runner.model.backbone.pos_embed.shape == (1, 17, 32)
    assert 'resized: pos_embed (1, 5, 32) -> (1, 17, 32)' in '\n'.join(log)
    # The same of a file with our names, where mmengine alone would keep random positions.
    torch.save({'state_dict': {f'backbone.{n}': v for n, v in model.backbone.state_dict().items()}}, 'ours.pth')
    load_checkpoint(runner.model, 'ours.pth')
    resized = runner.model.backbone.pos_embed[:, 1:].mean((0, 1))
    torch.testing.assert_close(resized, model.backbone.pos_embed[:, 1:].mean((0, 1)), rtol=0.5, atol=0.5)


@pytest.mark.parametrize('scheme', ['file', 'http'])
@pytest.mark.parametrize('how', ['load_from', 'init_cfg'])
def test_addresses(scheme, how, tmp_path, served, user_folder):  # noqa: F811
    model = ibot_of('mmpretrain')
    (tmp_path / 'a folder').mkdir()
    official_file(model, tmp_path / 'a folder' / 'checkpoint.pth')
    address = f'file://{tmp_path}' if scheme == 'file' else served
    address += '/a%20folder/checkpoint.pth'
    runner = runner_of('mmpretrain', user_folder, load_from=address if how == 'load_from' else None)
    backbone = runner.model.backbone
    if how == 'init_cfg':
        backbone.init_cfg = {'type': 'Pretrained', 'checkpoint': address}
        backbone.init_weights()
    runner.load_or_resume()
    assert_same(teacher_of(model, backbone), backbone.state_dict())


NOTHING = {'a resnet': {'conv1.weight': torch.ones(4, 3, 7, 7)}, 'heads alone': {'head.fc.weight': torch.ones(2, 32)}}


@pytest.mark.parametrize('state', NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize('toolbox', TOOLBOXES)
def test_nothing_that_fits_is_an_error(state, toolbox, user_folder):  # noqa: F811
    torch.save({'state_dict': state}, 'other.pth')
    runner = runner_of(toolbox, user_folder, load_from='other.pth')
    with pytest.raises(CheckpointError, match=r'Nothing in other.pth .* fits the model'):
        runner.load_or_resume()


def test_a_file_that_fits_in_part_is_an_error(user_folder):  # noqa: F811
    official_file(make_ibot(0, **{**SIZES, 'arch': {**ARCH, 'num_layers': 1}}), user_folder / 'shallow.pth')
    official_file(make_ibot(0, **{**SIZES, 'patch_size': 8}), user_folder / 'p8.pth')
    runner = runner_of('mmseg', user_folder)
    with pytest.raises(CheckpointError, match=r'not in the file: layers.1.*\(of the file: num_layers=1\)'):
        runner.load_checkpoint('shallow.pth')
    with pytest.raises(CheckpointError, match='set patch_size=8'):
        runner.load_checkpoint('p8.pth')


def evil_file(folder):
    torch.save({**ibot.to_official(ibot_of('mmseg').state_dict()), 'args': Touch(folder / 'ran')}, folder / 'evil.pth')
    return str(folder / 'evil.pth')


@pytest.mark.parametrize('toolbox', TOOLBOXES)
def test_load_from_runs_no_code(toolbox, user_folder):  # noqa: F811
    path = evil_file(user_folder)
    with pytest.raises(CheckpointError, match='system'):
        runner_of(toolbox, user_folder, load_from=path).train()
    assert not (user_folder / 'ran').exists()


SCRIPTS = [
    ('mmseg', 'swap_mmseg_by_path.py'),
    pytest.param('mmdet', 'swap_mmdet.py', marks=pytest.mark.slow),
    pytest.param('mmpretrain', 'swap_mmpretrain.py', marks=pytest.mark.slow),
]


@pytest.mark.parametrize(('toolbox', 'config'), SCRIPTS)
def test_script_of_the_toolbox_runs_no_code(toolbox, config, user_folder, python):  # noqa: F811
    """The script imports nothing of ours; the config names the backbone, and that is enough."""
    pytest.importorskip(toolbox)
    options = ['--work-dir', 'work', '--cfg-options', f'load_from={evil_file(user_folder)}']
    done = python(shipped(toolbox) / 'tools/train.py', config, *options)
    assert done.returncode != 0 and 'CheckpointError' in done.stderr and 'system' in done.stderr
    assert not (user_folder / 'ran').exists()


@pytest.mark.parametrize(('toolbox', 'config'), SCRIPTS)
def test_script_of_the_toolbox_trains_from_an_official_file(toolbox, config, user_folder, python):  # noqa: F811
    pytest.importorskip(toolbox)
    official_file(ibot_of(toolbox), user_folder / 'checkpoint.pth')
    options = ['--work-dir', 'work', '--cfg-options', 'load_from=checkpoint.pth']
    done = python(shipped(toolbox) / 'tools/train.py', config, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = (user_folder / 'work').glob('*/*.log')
    assert 'tensors from checkpoint.pth (an official iBOT checkpoint, teacher, without its head)' in log.read_text()


def test_a_published_segmenter_is_loaded_whole(user_folder, log):  # noqa: F811
    """BEiT's file counts the pyramid to the backbone; heads have the toolbox's own names."""
    pytest.importorskip('mmseg')
    entry = {
        'type': 'EncoderDecoder',
        'backbone': {'type': 'mim_plugin.MIMVisionTransformer', **sizes('mmdet'), 'out_indices': (0, 1, 2, 3),
                     'pos_embed': None, 'relative_bias': 'per_block', 'qkv_bias': 'qv', 'layer_scale': 0.1},
        'neck': {'type': 'mim_plugin.FeaturePyramid', 'in_channels': 32, 'norm': 'bn'},
        'decode_head': {'type': 'FCNHead', 'in_channels': 32, 'channels': 8, 'num_classes': 4},
    }  # fmt: skip
    with DefaultScope.overwrite_default_scope('mmseg'):
        source, target = (random_state(MODELS.build(entry)) for _ in range(2))
    state = {}
    for name, value in beit.to_official(source.state_dict())['model'].items():
        state[f'backbone.{name}'] = value
    state |= {name: value for name, value in source.state_dict().items() if name.startswith('decode_head.')}
    assert any(name.startswith('backbone.fpn1.') for name in state)
    torch.save({'state_dict': state, 'meta': {}}, 'segmenter.pth')
    load_checkpoint(target, 'segmenter.pth', logger='current', strict=True)
    assert_same(source.state_dict(), target.state_dict())
    assert 'do not match' not in '\n'.join(log)
    # A pretrained file has no pyramid: it starts anew, and is named.
    torch.save({'state_dict': {n: v for n, v in state.items() if 'fpn' not in n}, 'meta': {}}, 'no_pyramid.pth')
    before = target.neck.state_dict()['levels.1.0.weight'].clone()
    load_checkpoint(target, 'no_pyramid.pth', logger='current')
    assert torch.equal(before, target.neck.levels[1][0].weight)
    assert 'mmengine takes what has the name' in '\n'.join(log)
    assert 'missing keys in source state_dict: neck.levels' in '\n'.join(log)


def test_a_pretraining_in_another_script(tmp_path):
    """A Runner that was not made by our tools takes both networks and the centres."""
    source, target = make_ibot(1), make_ibot(2)
    official_file(source, tmp_path / 'checkpoint.pth')
    load_checkpoint(target, str(tmp_path / 'checkpoint.pth'))
    assert_same(source.state_dict(), target.state_dict(), source.state_dict().keys())


def test_plain_torch_is_left_alone(tmp_path):
    """Who calls load_state_dict himself gets torch's rules, and torch's report."""
    model = make_backbone()
    assert model.load_state_dict({}, strict=False).missing_keys == list(model.state_dict())
    with pytest.raises(RuntimeError, match='Unexpected key'):
        model.load_state_dict(ibot.backbone_to_official(model.state_dict()))


def test_what_was_read_can_be_saved_and_read_without_us(tmp_path):
    official_file(make_ibot(), tmp_path / 'a.pth')
    torch.save({'state_dict': make_backbone().state_dict()}, tmp_path / 'b.pth')
    for name in ('a.pth', 'b.pth'):
        checkpoint = CheckpointLoader.load_checkpoint(str(tmp_path / name), map_location='cpu', logger='silent')
        torch.save(checkpoint, tmp_path / 'again.pth')
        assert b'mim_plugin' not in (tmp_path / 'again.pth').read_bytes()


@pytest.fixture
def readers_restored():
    yield
    use_reader('mim_plugin')


def test_the_way_back(tmp_path, user_folder, log, readers_restored):  # noqa: F811
    official_file(ibot_of('mmseg'), user_folder / 'checkpoint.pth')
    write('bare', user_folder, ibot_of('mmseg'))
    use_reader('mmengine')
    runner = runner_of('mmseg', user_folder, load_from='a.pth')
    before = runner.model.backbone.cls_token.clone()
    runner.load_or_resume()
    assert torch.equal(before, runner.model.backbone.cls_token)  # mmengine's rules again
    with pytest.raises(ConfigError, match=READER_VARIABLE):
        use_reader('torch')


def test_a_wrong_name_in_the_variable_is_told_in_one_line(tmp_path, fresh_python):
    torch.save({'state_dict': {'w': torch.ones(1)}}, tmp_path / 'a.pth')
    code = (
        'from mim_plugin.apis.run import run_tool\nfrom mim_plugin.checkpoints import load_pretrained\nimport torch\n'
        f"raise SystemExit(run_tool(lambda: load_pretrained(torch.nn.Linear(1, 1), {str(tmp_path / 'a.pth')!r})))"
    )
    done = fresh_python('-c', code, **{READER_VARIABLE: 'mmengin'})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: 'mmengin' reads no checkpoints; use mim_plugin or mmengine")


def test_the_way_back_by_a_variable(fresh_python):
    code = (
        'import mim_plugin.models\nfrom mmengine.runner.checkpoint import CheckpointLoader as loader\n'
        "print(loader._get_checkpoint_loader('a.pth').__module__)"
    )
    done = fresh_python('-c', code, **{READER_VARIABLE: 'mmengine'})
    assert done.stdout.split()[-1].startswith('mmengine.')
