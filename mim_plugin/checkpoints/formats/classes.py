"""The classes of other packages with the architecture of a backbone of ours, to compare outputs with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['mmdet_class', 'mmpretrain_class', 'mmseg_class', 'timm_outputs', 'toolbox_outputs']

_LN = {'type': 'LN', 'eps': 1e-6}
Config = Mapping[str, Any]


def mmpretrain_class(config: Config) -> nn.Module:
    """mmpretrain's class, in evaluation mode."""
    from mmpretrain.models import BEiTViT, SwinTransformer, VisionTransformer

    arch, sizes = config['arch'], {key: config[key] for key in ('img_size', 'patch_size')}
    if _is_swin(config):
        return SwinTransformer(
            arch, pad_small_map=True, window_size=config['window_size'], out_indices=config['out_indices'],
            norm_cfg=_LN, **sizes,
        )  # fmt: skip
    sizes |= {'arch': arch, 'in_channels': config['in_channels'], 'out_type': 'featmap'}
    final_norm = not config['mean_pooling'] and config['final_norm'] != 'none'
    if config['relative_bias'] is None:
        return VisionTransformer(
            layer_scale_init_value=config['layer_scale'], final_norm=final_norm, norm_cfg=_LN,
            qkv_bias=config['qkv_bias'] is not None, **sizes,
        )  # fmt: skip
    shared = config['relative_bias'] == 'shared'
    return BEiTViT(
        layer_scale_init_value=config['layer_scale'], final_norm=final_norm, norm_cfg=_LN,
        use_abs_pos_emb=config['pos_embed'] == 'absolute', use_shared_rel_pos_bias=shared,
        use_rel_pos_bias=not shared, **sizes,
    )  # fmt: skip


def mmseg_class(config: Config) -> nn.Module:
    """mmseg's class."""
    from mmseg.models.backbones import BEiT, SwinTransformer, VisionTransformer

    if _is_swin(config):
        return _dense_swin(SwinTransformer, config)
    arch = config['arch']
    sizes = {key: arch[key] for key in ('embed_dims', 'num_layers', 'num_heads')} | {
        key: config[key] for key in ('img_size', 'patch_size', 'in_channels')
    }
    sizes |= {
        'mlp_ratio': _whole(arch['feedforward_channels'] / arch['embed_dims']),
        'final_norm': not config['mean_pooling'] and config['final_norm'] != 'none',
        'norm_cfg': _LN,
    }
    if config['relative_bias'] is None:
        return VisionTransformer(patch_bias=True, qkv_bias=config['qkv_bias'] is not None, **sizes)
    return BEiT(qv_bias=True, init_values=1.0, **sizes)


def mmdet_class(config: Config) -> nn.Module:
    """mmdet's Swin."""
    from mmdet.models.backbones import SwinTransformer

    return _dense_swin(SwinTransformer, config)


def toolbox_outputs(module: nn.Module, state: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Load strictly and give the last map as tokens (B, N, D)."""
    module.load_state_dict(dict(state), strict=True)
    module.eval()  # some return nothing
    with torch.no_grad():
        outputs = module(images)
    return outputs[-1].flatten(2).transpose(1, 2)


def timm_outputs(state: Mapping[str, Tensor], config: Config, images: Tensor) -> Tensor:
    """Patch tokens of timm's class."""
    from timm.models.beit import Beit
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.vision_transformer import VisionTransformer

    arch = config['arch']
    if _is_swin(config):
        module = SwinTransformer(
            config['img_size'], config['patch_size'], config['in_channels'], num_classes=0,
            embed_dim=arch['embed_dims'], depths=arch['depths'], num_heads=arch['num_heads'],
            window_size=config['window_size'], mlp_ratio=config['mlp_ratio'], norm_layer=_norm,
        ).eval()  # fmt: skip
    else:
        sizes = {
            'img_size': config['img_size'], 'patch_size': config['patch_size'], 'in_chans': config['in_channels'],
            'embed_dim': arch['embed_dims'], 'depth': arch['num_layers'], 'num_heads': arch['num_heads'],
            'mlp_ratio': arch['feedforward_channels'] / arch['embed_dims'], 'num_classes': 0, 'norm_layer': _norm,
            'global_pool': 'avg' if config['mean_pooling'] else 'token', 'init_values': config['layer_scale'] or None,
        }  # fmt: skip
        bias = config['relative_bias']
        if bias is None:
            module = VisionTransformer(qkv_bias=config['qkv_bias'] is not None, **sizes).eval()
        else:
            module = Beit(
                use_abs_pos_emb=config['pos_embed'] == 'absolute', use_rel_pos_bias=bias in ('per_block', 'both'),
                use_shared_rel_pos_bias=bias in ('shared', 'both'), **sizes,
            ).eval()  # fmt: skip
    module.load_state_dict(dict(state), strict=True)
    with torch.no_grad():
        tokens = module.forward_features(images)
    return tokens.flatten(1, 2) if _is_swin(config) else tokens[:, 1:]


def _dense_swin(cls: type[nn.Module], config: Config) -> nn.Module:
    arch = config['arch']
    return cls(
        pretrain_img_size=config['img_size'], embed_dims=arch['embed_dims'], depths=arch['depths'],
        num_heads=arch['num_heads'], window_size=config['window_size'], mlp_ratio=_whole(config['mlp_ratio']),
        patch_size=config['patch_size'], in_channels=config['in_channels'], out_indices=config['out_indices'],
        norm_cfg=_LN,
    )  # fmt: skip


def _whole(ratio: float) -> float | int:
    """A whole number as an int: widths are its multiples, and must be ints."""
    return int(ratio) if ratio == int(ratio) else ratio


def _is_swin(config: Config) -> bool:
    return config['type'] == 'MIMSwinTransformer'


def _norm(width: int, **kwargs: Any) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-6)
