"""From a folder of images to codes, to a BEiT trained with them, to a picture: the commands as a user types them."""

import importlib.util
import os
import shlex
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from mmengine.config import Config
from safetensors import safe_open
from safetensors.torch import load_file

from mim_plugin.apis.fit_codes import fit_codes
from mim_plugin.apis.predictions import picture_of_predictions
from mim_plugin.errors import MIMError

ROOT = Path(__file__).parents[2]
CONFIG = 'my_configs/beit_codes_tiny.py'


@pytest.fixture
def place(workplace, monkeypatch):
    shutil.copy(ROOT / 'tests/data/beit_codes_tiny.py', workplace / 'my_configs')
    monkeypatch.chdir(workplace)
    return workplace


def load_tool(name):
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / 'tools' / name)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.main


def test_fit_then_train_then_draw(place, call, capsys):
    done = call('fit_codes.py', CONFIG, '--data', 'images/class_0', '--num-codes', '6', '--workers', '0')
    assert done.returncode == 0, done.stderr[-2000:]
    assert '4 images of 16 x 16 pixels with 4 x 4 patches, 64 of these taken' in done.stdout
    assert '6 codes: 6 used, perplexity' in done.stdout
    assert (place / 'codes/tiny.safetensors').is_file()

    command = shlex.split(done.stdout.split('next: ')[1])
    assert command[:3] == ['python', 'tools/train.py', CONFIG]
    load_tool('train.py')(command[2:] + [f'experiment_name={os.urandom(4).hex()}'])
    checkpoint = 'work_dirs/beit_codes_tiny/epoch_1.pth'

    options = ['--cfg-options', 'model.tokenizer.vocabulary_size=6']
    draw = load_tool('visualization/draw_reconstructions.py')
    draw([CONFIG, checkpoint, '--images', 'images', '--out', 'new/picture.png', '--count', '3', *options])
    assert 'written to new/picture.png' in capsys.readouterr().out
    pixels = matplotlib.image.imread(place / 'new/picture.png')
    assert pixels.shape[0] > 300 and np.std(pixels) > 0.05


def test_fit_is_reproducible_and_notes_what_it_did(place):
    for name in ('one', 'two'):
        report = fit_codes(CONFIG, out=f'{name}.safetensors', num_images=5, seed=3, workers=0)
    assert (report.images, report.grid, report.view, report.patches) == (5, (4, 4), (16, 16), 80)
    assert 1 < report.perplexity <= report.used <= 8 and 0 < report.error < 1
    one, two = (load_file(f'{name}.safetensors') for name in ('one', 'two'))
    assert one.keys() == two.keys()
    assert all(value.equal(two[name]) for name, value in one.items())
    with safe_open('one.safetensors', 'pt') as file:
        assert file.get_tensor('centroids').shape == (8, 20)
        assert file.metadata()['images'] == '5' and file.metadata()['seed'] == '3'
        # Pictures are real pixels, not the grey of the start.
        assert file.get_tensor('pictures').float().std() > 0.05
    other = fit_codes(CONFIG, out='three.safetensors', num_images=5, seed=4, workers=0)
    assert not load_file(other.file)['centroids'].equal(one['centroids'])


def test_damaged_images_are_tolerated_as_in_training(place):
    (place / 'images/class_0/0.jpg').write_bytes(b'no image')
    with pytest.raises(MIMError, match='1 of the 8 images.*cannot be decoded'):
        fit_codes(CONFIG, workers=0)
    report = fit_codes(CONFIG, workers=0, cfg_options={'train_dataloader.dataset.max_broken': 0.2})
    assert report.images == 8
    assert 'train_dataloader.dataset.max_broken=0.2' in report.next_command


def test_training_without_codes_says_what_to_do(place):
    with pytest.raises(MIMError, match=r'codes/tiny.safetensors does not exist'):
        load_tool('train.py')([CONFIG])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--num-codes', '129'], '128 patches are too few for 129 codes'),
        (['--num-codes', '1'], 'at least 2 with --num-codes'),
        (['--num-images', '0'], 'at least 1'),
        (['--data', 'gone'], 'gone'),
        (['--cfg-options', 'model.tokenizer.features.patch_size=6'], r'images of \(16, 16\) pixels into patches of 6'),
        (['--cfg-options', 'model.tokenizer.normalise=l2'], "normalise='l2'"),
        (['--cfg-options', 'model.tokenizer.features.type=ColourFeatures'], 'ColourFeatures'),
    ],
)
def test_a_mistake_is_one_clear_message(place, arguments, message):
    with pytest.raises(MIMError, match=message) as caught:
        load_tool('fit_codes.py')([CONFIG, '--workers', '0', *arguments])
    assert '\n' not in str(caught.value)


def test_other_configs_are_refused(place):
    with pytest.raises(MIMError, match='no training config with model.tokenizer.type=KMeansTokenizer'):
        fit_codes('my_configs/ibot_tiny.py')
    draw = load_tool('visualization/draw_reconstructions.py')
    with pytest.raises(MIMError, match='no config of BEiT'):
        draw(['my_configs/ibot_tiny.py', 'x.pth', '--images', 'images'])
    undrawable = Config.fromfile(CONFIG)
    undrawable.model.tokenizer = dict(type='PixelTokenizer', patch_size=4, per_patch=True)
    with pytest.raises(MIMError, match='PixelTokenizer.*has no decoder'):
        picture_of_predictions(undrawable, 'x.pth', ['images'])
