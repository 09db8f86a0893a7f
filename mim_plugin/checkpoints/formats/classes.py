"""The classes of other packages with the architecture of a backbone of ours, to compare outputs with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.checkpoints.formats.traits import has

__all__ = ['mmdet_class', 'mmpretrain_class', 'mmseg_class', 'published_outputs', 'timm_outputs', 'toolbox_outputs']

Config = Mapping[str, Any]


def mmpretrain_class(config: Config, state: Mapping[str, Tensor]) -> nn.Module:
    """mmpretrain's class. Which biases it has is told by the weights."""
    from mmpretrain.models import BEiTViT, SwinTransformer, VisionTransformer

    arch, sizes = config['arch'], {key: config[key] for key in ('img_size', 'patch_size')}
    if _is_swin(config):
        return SwinTransformer(
            arch, pad_small_map=True, window_size=config['window_size'], out_indices=config['out_indices'],
            **sizes,
        )  # fmt: skip
    sizes |= {'arch': arch, 'in_channels': config['in_channels'], 'out_type': 'featmap'}
    final_norm = not config['mean_pooling'] and config['final_norm'] != 'none'
    if config['relative_bias'] is None:
        return VisionTransformer(
            layer_scale_init_value=config['layer_scale'], final_norm=final_norm,
            qkv_bias=config['qkv_bias'] is not None, **sizes,
        )  # fmt: skip
    shared = config['relative_bias'] == 'shared'
    return BEiTViT(
        layer_scale_init_value=config['layer_scale'], final_norm=final_norm,
        use_abs_pos_emb=config['pos_embed'] == 'absolute', use_shared_rel_pos_bias=shared,
        use_rel_pos_bias=not shared, bias='qv_bias' if has(state, 'attn.q_bias') else has(state, 'attn.qkv.bias'),
        **sizes,
    )  # fmt: skip


def mmseg_class(config: Config, state: Mapping[str, Tensor]) -> nn.Module:
    """mmseg's class. Which biases it has is told by the weights."""
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
    }
    if config['relative_bias'] is None:
        patch_bias = 'patch_embed.projection.bias' in state
        return VisionTransformer(patch_bias=patch_bias, qkv_bias=has(state, 'attn.attn.in_proj_bias'), **sizes)
    return BEiT(qv_bias=has(state, 'attn.q_bias'), init_values=1.0, **sizes)


def mmdet_class(config: Config) -> nn.Module:
    """mmdet's Swin."""
    from mmdet.models.backbones import SwinTransformer

    return _dense_swin(SwinTransformer, config)


def toolbox_outputs(module: nn.Module, state: Mapping[str, Tensor], config: Config, images: Tensor) -> Tensor:
    """Load strictly and give the last map as tokens (B, N, D)."""
    module.load_state_dict(dict(state), strict=True)
    _set_eps(module, config)
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
            window_size=config['window_size'], mlp_ratio=config['mlp_ratio'],
        ).eval()  # fmt: skip
    else:
        sizes = {
            'img_size': config['img_size'], 'patch_size': config['patch_size'], 'in_chans': config['in_channels'],
            'embed_dim': arch['embed_dims'], 'depth': arch['num_layers'], 'num_heads': arch['num_heads'],
            'mlp_ratio': arch['feedforward_channels'] / arch['embed_dims'], 'num_classes': 0,
            'global_pool': 'avg' if config['mean_pooling'] else 'token', 'init_values': config['layer_scale'] or None,
        }  # fmt: skip
        bias = config['relative_bias']
        if bias is None:
            patches = math.prod(side // config['patch_size'] for side in _sides(config['img_size']))
            module = VisionTransformer(
                qkv_bias=has(state, 'attn.qkv.bias'), reg_tokens=config['num_registers'],
                no_embed_class=state['pos_embed'].shape[1] == patches, final_norm=config['final_norm'] != 'none',
                **sizes,
            ).eval()  # fmt: skip
        else:
            module = Beit(
                use_abs_pos_emb=config['pos_embed'] == 'absolute', use_rel_pos_bias=bias in ('per_block', 'both'),
                use_shared_rel_pos_bias=bias in ('shared', 'both'), qkv_bias=has(state, 'attn.q_bias'), **sizes,
            ).eval()  # fmt: skip
    module.load_state_dict(dict(state), strict=True)
    _set_eps(module, config)
    with torch.no_grad():
        tokens = module.forward_features(images)
    return tokens.flatten(1, 2) if _is_swin(config) else tokens[:, 1 + config['num_registers'] :]


# Names in published files that timm's differ from: scales, and mergings, which timm counts to the stage after them.
_RENAMED = (
    (re.compile(r'\.gamma_([12])$'), lambda match: f'.ls{match[1]}.gamma'),
    (re.compile(r'^layers\.(\d+)\.downsample'), lambda match: f'layers.{int(match[1]) + 1}.downsample'),
)
_OF_BACKBONE = re.compile(r'(cls_token|pos_embed|patch_embed|rel_pos_bias|blocks|layers|norm|fc_norm)\b')


def published_outputs(state: Mapping[str, Tensor], config: Config, images: Tensor) -> Tensor:
    """Patch tokens of timm's class with the weights of a published iBOT, DINO or BEiT backbone.

    timm wrote its classes for these files, under their names but for a few. The published code itself is no package.

    Args:
        state: Names of a backbone without prefix; what is not of the backbone is left out.
        config: Settings of our backbone with the same architecture.
        images: (B, C, H, W).

    Raises:
        NotImplementedError: timm has no class for it.
    """
    beit = not _is_swin(config) and config['relative_bias'] is not None
    if beit and config['final_norm'] == 'none':
        raise NotImplementedError("timm's BEiT, which could be compared, always has a final norm")
    if not (_is_swin(config) or beit) and (config['pos_embed'] is None or has(state, 'attn.q_bias')):
        raise NotImplementedError('timm has no class that computes the same')
    theirs = {n: v for n, v in state.items() if _OF_BACKBONE.match(n) and not n.endswith('relative_position_index')}
    for pattern, new in () if beit else _RENAMED:
        theirs = {pattern.sub(new, name): value for name, value in theirs.items()}
    return timm_outputs(theirs, config, images)


def _dense_swin(cls: type[nn.Module], config: Config) -> nn.Module:
    arch = config['arch']
    return cls(
        pretrain_img_size=config['img_size'], embed_dims=arch['embed_dims'], depths=arch['depths'],
        num_heads=arch['num_heads'], window_size=config['window_size'], mlp_ratio=_whole(config['mlp_ratio']),
        patch_size=config['patch_size'], in_channels=config['in_channels'], out_indices=config['out_indices'],
    )  # fmt: skip


def _sides(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _whole(ratio: float) -> float | int:
    """A whole number as an int: widths are its multiples, and must be ints."""
    return int(ratio) if ratio == int(ratio) else ratio


def _is_swin(config: Config) -> bool:
    return config['type'] == 'MIMSwinTransformer'


def _set_eps(module: nn.Module, config: Config) -> None:
    """Give all norms the epsilon of ours, which is a setting and no weight; not all of theirs are set from outside."""
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = config.get('norm_eps', 1e-6)
