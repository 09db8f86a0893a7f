"""What a log says of the weights of a toolbox's model."""

import hashlib

import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint
from torch import nn

import mim_plugin
from mim_plugin.checkpoints.read import sha256_of
from mim_plugin.errors import CheckpointError


def test_load_from_and_init_cfg_of_any_model_name_the_file(tmp_path, capfd):
    """mmengine's function is behind both, and behind the resuming of a run."""
    model, path = nn.Linear(2, 3), tmp_path / 'linear.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest.startswith(sha256_of(path)) and len(sha256_of(path)) == 16
    load_checkpoint(model, str(path), strict=True)
    wanted = f'Checkpoint {path}: sha256 {digest[:16]}, read by mim_plugin {mim_plugin.__version__}'
    assert ''.join(capfd.readouterr()).count(wanted) == 1


def test_no_hash_of_a_file_that_cannot_be_read(tmp_path, capfd):
    (tmp_path / 'broken.pth').write_bytes(bytes(99))
    with pytest.raises(CheckpointError, match='damaged'):
        load_checkpoint(nn.Linear(2, 3), str(tmp_path / 'broken.pth'))
    assert 'sha256' not in ''.join(capfd.readouterr())
