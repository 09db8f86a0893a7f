"""BEiT without any download, as a user types it: train a tokenizer, look at it, train BEiT on its codes."""

import importlib.util
from pathlib import Path

import pytest
from mmengine.config import Config

from mim_plugin.apis.codebook import load_tokenizer, measure_codes
from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.registry import MODELS
from mim_plugin.testing.images import write_image_folder
from mim_plugin.testing.shrink import shrink

ROOT = Path(__file__).parents[2]
DVAE = 'configs/dvae/dvae_k512-p8_1xb64-coslr-100e_custom.py'
BEIT = 'configs/beit/beit-owndvae_vit-small-p16_1xb128-coslr-300e_custom.py'


def main_of(tool):
    spec = importlib.util.spec_from_file_location(Path(tool).stem, ROOT / 'tools' / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def small(tmp_path):
    """Write the small form of a config of the project; gives its path."""

    def write(path, **tokenizer):
        cfg = shrink(Config.fromfile(ROOT / path), tmp_path / 'data')
        if tokenizer:
            cfg.model.tokenizer.update(tokenizer)
        target = tmp_path / Path(path).name
        cfg.dump(target)
        return str(target)

    return write


def test_tokenizer_then_beit(small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train = main_of('train.py')
    dvae = small(DVAE)
    train([dvae, '--work-dir', 'dvae', '--cfg-options', 'experiment_name=own_dvae'])
    checkpoint = str(tmp_path / 'dvae/epoch_2.pth')
    pictures = {path.name for path in (tmp_path / 'dvae/reconstructions').iterdir()}
    assert {'epoch_1.png', 'epoch_2.png', 'codes_2.png'} <= pictures

    images = write_image_folder(tmp_path / 'other', per_class=3)
    main_of('visualization/draw_codes.py')([dvae, '--checkpoint', checkpoint, '--images', str(images), '--out', 'seen'])
    printed = capsys.readouterr().out
    assert 'of 64 codes occur' in printed and 'reconstructions' in printed and ' dB' in printed
    assert {path.name for path in (tmp_path / 'seen').iterdir()} == {'reconstructions.png', 'usage.png'}

    beit = small(BEIT, checkpoint=checkpoint)
    train([beit, '--work-dir', 'beit', '--cfg-options', 'experiment_name=own_beit'])
    trained = read_checkpoint('beit/epoch_2.pth')['state_dict']
    assert not any(name.startswith('tokenizer') for name in trained)
    tokenizer, size = load_tokenizer(beit)
    weights = read_checkpoint(checkpoint)['state_dict']
    assert tokenizer.network.codebook.weight.equal(weights['network.codebook.weight'])
    report = measure_codes(tokenizer, str(images), size, num_images=2)
    assert size == 32 and report.counts.sum() == 6 * 4 * 4
    assert report.images.shape == report.decoded.shape == (2, 32, 32, 3)
    assert report.cell_psnr > report.image_psnr

    with pytest.raises(CheckpointError, match='does not hold an autoencoder of strided convolutions'):
        load_tokenizer(beit, 'beit/epoch_2.pth')
    with pytest.raises(ConfigError, match='names no trained tokenizer'):
        load_tokenizer(dvae)

    again = MODELS.build(Config.fromfile(dvae).model)
    assert len(load_pretrained(again, checkpoint).loaded) == len(again.state_dict())
