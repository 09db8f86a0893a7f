"""BEiT, ViT and DINOv2 of Hugging Face's transformers, under the names of the hub.

The names in a module of transformers have changed and are translated when it is saved and loaded; those of the files
have stayed. Files are read and written here without the package, which only ``--verify`` needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats import hugging_face_folder, swin
from mim_plugin.checkpoints.formats.base import JOINED, Change, Format, Rule, pairs, under
from mim_plugin.checkpoints.formats.traits import TABLE, below, has, is_swin
from mim_plugin.checkpoints.formats.vit_rules import INDEX, NO_KEY_BIAS, unplaced
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError

__all__ = ['HuggingFaceFormat']

# Kind (their `model_type`) and what stands before the names of its backbone in a model with a head.
PREFIXES = {'beit': 'beit.', 'vit': 'vit.', 'dinov2': 'dinov2.', 'dinov2_with_registers': 'dinov2_with_registers.'}
STEM_NAMES = (
    ('embeddings.cls_token', 'cls_token'),
    ('embeddings.position_embeddings', 'pos_embed'),
    ('embeddings.register_tokens', 'reg_token'),
    ('embeddings.patch_embeddings.projection.*', 'patch_embed.projection.*'),
    ('encoder.layer.*.attention.output.dense.*', 'layers.*.attn.proj.*'),
)
# Of BEiT and ViT.
BLOCK_NAMES = (
    ('encoder.layer.*.layernorm_before.*', 'layers.*.ln1.*'),
    ('encoder.layer.*.layernorm_after.*', 'layers.*.ln2.*'),
    ('encoder.layer.*.intermediate.dense.*', 'layers.*.ffn.layers.0.0.*'),
    ('encoder.layer.*.output.dense.*', 'layers.*.ffn.layers.1.*'),
)
BEIT_NAMES = (
    ('encoder.layer.*.lambda_1', 'layers.*.attn.gamma1.weight'),
    ('encoder.layer.*.lambda_2', 'layers.*.ffn.gamma2.weight'),
    ('encoder.layer.*.attention.attention.query.bias', 'layers.*.attn.q_bias'),
    ('encoder.layer.*.attention.attention.value.bias', 'layers.*.attn.v_bias'),
    (f'encoder.layer.*.attention.attention.relative_position_bias.{TABLE}', f'layers.*.attn.{TABLE}'),
    (f'encoder.relative_position_bias.{TABLE}', f'rel_pos_bias.{TABLE}'),
    ('pooler.layernorm.*', 'ln2.*'),
)
DINOV2_NAMES = (
    ('encoder.layer.*.norm1.*', 'layers.*.ln1.*'),
    ('encoder.layer.*.norm2.*', 'layers.*.ln2.*'),
    ('encoder.layer.*.layer_scale1.lambda1', 'layers.*.attn.gamma1.weight'),
    ('encoder.layer.*.layer_scale2.lambda1', 'layers.*.ffn.gamma2.weight'),
    ('encoder.layer.*.mlp.fc1.*', 'layers.*.ffn.layers.0.0.*'),
    ('encoder.layer.*.mlp.fc2.*', 'layers.*.ffn.layers.1.*'),
)
# Their segmentor is mmseg's under other names of the last layers.
SEGMENTOR_NAMES = (
    *((f'fpn{i + 1}.*', f'neck.levels.{i}.*') for i in range(4)),
    ('decode_head.classifier.*', 'decode_head.conv_seg.*'),
    ('auxiliary_head.classifier.*', 'auxiliary_head.conv_seg.*'),
    ('decode_head.*', 'decode_head.*'),
    ('auxiliary_head.*', 'auxiliary_head.*'),
)
_CLASSIFIER = (('classifier.weight', 'head.weight'), ('classifier.bias', 'head.bias'))
_ATTENTION = 'encoder.layer.*.attention.attention.'
_QKV = tuple(f'{_ATTENTION}{part}' for part in ('query', 'key', 'value'))
_WEIGHTS, _BIASES = tuple(f'{name}.weight' for name in _QKV), tuple(f'{name}.bias' for name in _QKV)
_ZERO_KEYS = Change(
    'zeros as the bias of the keys', None, lambda q, v: (q, torch.zeros_like(q), v), reversible=False
)
_ONES = Change('a scale of one added', None, lambda weight: (weight, weight.new_ones(len(weight))), reversible=False)
_NO_MASK_TOKEN = Change(
    'a mask token of zeros added', None, lambda token: (token, torch.zeros_like(token[0])), reversible=False
)
_ZERO_BIASES = Change(
    'zeros as biases of queries and values',
    None,
    lambda joined: (*joined.chunk(3), *joined.new_zeros(2, joined.shape[1])),
    reversible=False,
)
_POOLER = Change('a layer with tanh over [CLS], for which ours has no place')
_TWO_POOLED = Change('its layer reads [CLS] and the mean patch side by side, ours one of them')

State = dict[str, Tensor]


class HuggingFaceFormat(Format):
    """``BeitModel`` and its three models with a head, ``ViTModel`` (or with a classifier), ``Dinov2Model``.

    When writing, the class follows from the parameters: a relative position bias, a bias of queries and values alone,
    or no final norm of all tokens needs BEiT, registers or learned scales need DINOv2, all else is ViT.
    """

    name, title, aliases = 'hugging_face', 'Hugging Face BEiT, ViT, DINOv2', ('huggingface', 'hf')
    limits = (
        'no Swin, no registers beside a relative bias or without a norm of all tokens; the pooler of '
        'ViTModel, which none of ours has, starts anew (add_pooling_layer=False leaves it out); index i in the '
        'out_indices of BeitForSemanticSegmentation is the output of block i - 2, counted from 0'
    )

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Their embedding, with a prefix that we know or without."""
        names = [f'{prefix}embeddings.patch_embeddings.projection.weight' for prefix in ('', *PREFIXES.values())]
        return any(name in state for name in names) and has(state, 'attention.attention.query.weight')

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        if writing:
            kind = kind_of_ours(below(state, 'backbone.'))
            heads = set(_OUR_HEADS[kind]) & state.keys() - set(_without_norm(state))
            prefix = PREFIXES[kind] if heads else ''
        else:
            kind, prefix = kind_of_theirs(state)
        pretraining = has(state, 'lm_head.weight', 'head.linear.weight') and kind == 'beit'
        if pretraining and f'{prefix}layernorm.weight' in state:
            raise CheckpointError(
                'The checkpoint norms its tokens twice (use_mean_pooling=False in a BeitForMaskedImageModeling), '
                'which our backbone does not.'
            )
        norm = Rule('layernorm.*', 'backbone.ln1.*') if pretraining else Rule(f'{prefix}layernorm.*', 'backbone.ln1.*')
        backbone = below(state, 'backbone.') if writing else below(state, prefix) if prefix else state
        return (
            norm,
            *unplaced(*_without_norm(state), why='their classifier has a norm before it'),
            *_HEADS[kind],
            *under(_RULES[kind](backbone), prefix),
            *unplaced('backbone.mask_token', why=f'their {kind} has no mask token'),
            *unplaced('head.*', 'patch_head.*', 'loss_module.*', 'neck.*', 'decode_head.*', 'auxiliary_head.*'),
        )

    def recognises_folder(self, path: Path) -> bool:
        """A folder with ``config.json``."""
        return (path / 'config.json').is_file()

    def load(self, path: Path) -> dict[str, Any]:
        """A folder, or the file with the tensors alone."""
        return hugging_face_folder.load(path, tuple(PREFIXES)) if path.is_dir() else read_checkpoint(path)

    def save(self, state: State, path: Path, meta: Mapping[str, str]) -> None:
        """A folder with ``config.json`` and ``model.safetensors``, as ``from_pretrained`` reads it."""
        kind, prefix = kind_of_theirs(state)
        hugging_face_folder.save(state, kind, prefix, path, meta)

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        kind, prefix = kind_of_theirs(state)
        return hugging_face_folder.outputs(state, kind, prefix, {'backbone': json.dumps(config)}, images)


def kind_of_theirs(state: Mapping[str, Tensor]) -> tuple[str, str]:
    """Their kind and the prefix of the backbone.

    Raises:
        CheckpointError: A feed-forward layer with gates (SwiGLU).
    """
    if has(state, 'mlp.weights_in.weight'):
        raise CheckpointError(
            'The checkpoint has SwiGLU feed-forward layers (mlp.weights_in, as in DINOv2 ViT-g), which '
            'MIMVisionTransformer does not compute; use another size of the model.'
        )
    prefix = next((p for p in PREFIXES.values() if any(name.startswith(p) for name in state)), '')
    if has(state, 'embeddings.register_tokens'):
        return 'dinov2_with_registers', prefix
    if has(state, 'layer_scale1.lambda1'):
        return 'dinov2', prefix
    query_only = has(state, 'attention.attention.query.bias') and not has(state, 'attention.attention.key.bias')
    return 'beit' if query_only or has(state, TABLE, '.lambda_1') else 'vit', prefix


def kind_of_ours(backbone: Mapping[str, Tensor]) -> str:
    """The kind that computes what a backbone of ours does.

    Raises:
        CheckpointError: There is none; the reason is named.
    """
    if is_swin(backbone):
        raise CheckpointError("Swin transformers are not written for Hugging Face; convert to 'timm' instead.")
    registers, relative = 'reg_token' in backbone, has(backbone, TABLE)
    if registers and relative:
        raise CheckpointError('transformers has no class with registers and a relative position bias.')
    if 'pos_embed' not in backbone and not relative:
        raise CheckpointError('The backbone has no learned positions, without which transformers has no class for it.')
    if not registers and (relative or has(backbone, 'attn.q_bias') or 'ln1.weight' not in backbone):
        return 'beit'
    if 'ln1.weight' not in backbone:
        raise CheckpointError('transformers has no class with registers and without a final norm of all tokens.')
    if registers:
        return 'dinov2_with_registers'
    return 'dinov2' if has(backbone, 'attn.gamma1.weight') else 'vit'


def _without_norm(ours: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The classifier of a backbone without any final norm, for which they have no class."""
    if 'backbone.ln1.weight' in ours or 'backbone.ln2.weight' in ours:
        return ()
    return tuple(name for name in ('head.weight', 'head.bias') if name in ours)


def _beit(backbone: Mapping[str, Tensor]) -> Sequence[Rule]:
    """Rules without prefix, by either names."""
    zeros = ()
    if has(backbone, 'attn.qkv.weight') and not has(backbone, 'attn.q_bias', 'attn.qkv.bias'):  # ours, to be written
        zeros = (Rule((*_WEIGHTS, _BIASES[0], _BIASES[2]), 'layers.*.attn.qkv.weight', _ZERO_BIASES),)
    return (
        Rule(f'*{INDEX}', (), Change('follows from the size of the table')),
        Rule('embeddings.mask_token', 'mask_token'),
        *zeros,
        Rule(_WEIGHTS, 'layers.*.attn.qkv.weight', JOINED),
        Rule((_BIASES[0], _BIASES[2]), 'layers.*.attn.qkv.bias', NO_KEY_BIAS),
        *pairs((*STEM_NAMES, *BEIT_NAMES, *BLOCK_NAMES)),
    )


def _joined() -> Sequence[Rule]:
    return (
        Rule(_WEIGHTS, 'layers.*.attn.qkv.weight', JOINED),
        Rule(_BIASES, 'layers.*.attn.qkv.bias', JOINED),
        Rule(_BIASES, ('layers.*.attn.q_bias', 'layers.*.attn.v_bias'), _ZERO_KEYS),
    )


def _vit(backbone: Mapping[str, Tensor]) -> Sequence[Rule]:
    return (
        Rule('embeddings.mask_token', 'mask_token', Change(write=None)),
        Rule('pooler.dense.*', (), _POOLER, loses=True),
        *_joined(),
        *pairs((*STEM_NAMES, *BLOCK_NAMES)),
    )


def _dinov2(backbone: Mapping[str, Tensor]) -> Sequence[Rule]:
    added = ()
    if 'reg_token' in backbone and 'mask_token' not in backbone:
        added += (Rule(('embeddings.cls_token', 'embeddings.mask_token'), 'cls_token', _NO_MASK_TOKEN),)
    if not has(backbone, 'attn.gamma1.weight'):
        ours = ('layers.*.attn.proj.weight', 'layers.*.ffn.layers.1.weight')
        theirs = ('encoder.layer.*.attention.output.dense.weight', 'encoder.layer.*.mlp.fc2.weight')
        added += tuple(
            Rule((layer, f'encoder.layer.*.layer_scale{i + 1}.lambda1'), our_layer, _ONES)
            for i, (layer, our_layer) in enumerate(zip(theirs, ours))
        )
    return (
        *added,
        Rule('embeddings.mask_token', 'mask_token', swin.MASK_TOKEN),
        *_joined(),
        *pairs((*STEM_NAMES, *DINOV2_NAMES)),
    )


_RULES = {'beit': _beit, 'vit': _vit, 'dinov2': _dinov2, 'dinov2_with_registers': _dinov2}
# Ours for which they have a model with a head, in which the names of the backbone have a prefix.
_OUR_HEADS = {
    'beit': ('head.linear.weight', 'head.weight', 'decode_head.conv_seg.weight'),
    'vit': ('head.weight',),
    'dinov2': (),
    'dinov2_with_registers': (),
}
_LOST_CLASSIFIER = (Rule('classifier.*', (), _TWO_POOLED, loses=True),)
_HEADS = {
    'beit': pairs((('lm_head.*', 'head.linear.*'), *_CLASSIFIER, *SEGMENTOR_NAMES)),
    'vit': pairs(_CLASSIFIER),
    'dinov2': _LOST_CLASSIFIER,
    'dinov2_with_registers': _LOST_CLASSIFIER,
}
