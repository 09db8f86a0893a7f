"""The converter as it is typed."""

import json
from pathlib import Path

import torch

from mim_plugin.checkpoints.matrix import sample

TOOL = Path(__file__).parents[2] / 'tools/model_converters/convert.py'


def test_convert(tmp_path, fresh_python):
    torch.save({'state_dict': sample('BEiT, pretraining')}, tmp_path / 'ours.pth')
    arguments = (tmp_path / 'ours.pth', tmp_path / 'timm.safetensors', '--to', 'timm', '--report', tmp_path / 'r.json')
    refused = fresh_python(TOOL, *arguments)
    assert refused.returncode == 2 and 'Traceback' not in refused.stderr and not refused.stdout
    assert refused.stderr.count('\n') == 1 and '--allow-unused' in refused.stderr
    assert not (tmp_path / 'timm.safetensors').exists()
    done = fresh_python(TOOL, *arguments, '--allow-unused', 'head.*', '--allow-unused', '*mask_token', '--verify')
    assert done.returncode == 0, done.stderr
    assert 'lossy' in done.stdout and 'agree with ours within' in done.stdout
    assert 'backbone.layers.*.attn.qkv.weight  (x2)' in done.stdout
    report = json.loads((tmp_path / 'r.json').read_text())
    assert report['lost'] == ['backbone.mask_token', 'head.linear.weight', 'head.linear.bias']
