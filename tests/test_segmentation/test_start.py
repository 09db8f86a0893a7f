"""How a segmenter starts from a pretrained backbone of another image size."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mim_plugin.errors import CheckpointError
from mim_plugin.models.layers import resize_bias_table
from mim_plugin.testing.shrink import shrink

pytest.importorskip('mmseg')
FOLDER = Path(__file__).parents[2] / 'configs/segmentation'
NAMES = {
    'bicubic': 'ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512',
    'bilinear': 'beit-abs_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512',
    'tables': 'beit_vit-base-p16_setr-pup_8xb2-160k_ade20k-512x512',
}


def started(kind: str, folder: Path, **pretraining) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The pretrained backbone, for images of 48 pixels, and a segmenter for 64 that starts from its file."""
    cfg = shrink(Config.fromfile(FOLDER / f'{NAMES[kind]}.py'), folder)
    torch.manual_seed(0)
    taken = ('type', 'arch', 'patch_size', 'qkv_bias', 'layer_scale', 'pos_embed')
    entry = {key: value for key, value in cfg.model.backbone.items() if key in taken}
    source = MODELS.build({**entry, 'img_size': 48, 'mask_token': True, **pretraining})
    with torch.no_grad():
        for value in source.parameters():
            value.normal_()
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in source.state_dict().items()}}, folder / 'file.pth')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(folder / 'file.pth'))
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    return source, model


@pytest.mark.parametrize('mode', ['bicubic', 'bilinear'])
def test_positions_are_resized_to_the_crop(mode, tmp_path):
    source, model = started(mode, tmp_path)
    patches = source.pos_embed[:, 1:].unflatten(1, (3, 3)).permute(0, 3, 1, 2)
    expected = F.interpolate(patches, (4, 4), mode=mode, align_corners=False).flatten(2).transpose(1, 2)
    assert model.backbone.pos_embed[:, :1].equal(source.pos_embed[:, :1])
    torch.testing.assert_close(model.backbone.pos_embed[:, 1:], expected, atol=1e-5, rtol=1e-5)
    assert model.backbone.layers[1].attn.qkv.weight.equal(source.layers[1].attn.qkv.weight)


def test_every_block_gets_the_shared_table_at_the_size_of_the_crop(tmp_path):
    source, model = started('tables', tmp_path, relative_bias='shared')
    expected = resize_bias_table(source.rel_pos_bias.relative_position_bias_table, (3, 3), (4, 4))
    tables = [value for name, value in model.backbone.named_parameters() if name.endswith('bias_table')]
    assert len(tables) == 4
    for table in tables:
        torch.testing.assert_close(table, expected)


def test_file_of_another_patch_size_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r'file\.pth.*patch_embed'):
        started('bicubic', tmp_path, patch_size=8)
