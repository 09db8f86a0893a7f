"""The transformers that the toolboxes themselves ship: mmpretrain's, mmseg's, mmdet's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mim_plugin.checkpoints.formats import swin
from mim_plugin.checkpoints.formats.base import SAME, Change, Format, Rule, apply_rules, pairs, under
from mim_plugin.checkpoints.formats.traits import TABLE, below, has, is_swin, swin_windows
from mim_plugin.checkpoints.formats.vit_rules import (
    INDEX,
    NO_KEY_BIAS,
    SHARED_TABLE,
    ZERO_KEYS,
    added_scales,
    folded_scales,
    refuse_unless_standard,
    spread_tables,
    table_with_index,
    unplaced,
)
from mim_plugin.errors import CheckpointError

__all__ = ['TOOLBOXES', 'MMDetFormat', 'MMPretrainFormat', 'MMSegFormat', 'to_toolbox']

TOOLBOXES = ('mmpretrain', 'mmseg', 'mmdet', 'timm')
_OURS = (
    'cls_token', 'pos_embed', 'patch_embed.projection.*', 'layers.*.ln1.*', 'layers.*.ln2.*',
    'layers.*.attn.qkv.weight', 'layers.*.attn.qkv.bias', 'layers.*.attn.q_bias', 'layers.*.attn.v_bias',
    'layers.*.attn.proj.*', 'layers.*.ffn.layers.0.0.*', 'layers.*.ffn.layers.1.*', 'ln1.*',
)  # fmt: skip
_SAME = pairs([(name, name) for name in _OURS])
_SCALES = ('layers.*.gamma_1', 'layers.*.gamma_2')
_OUR_SCALES = ('layers.*.attn.gamma1.weight', 'layers.*.ffn.gamma2.weight')
_TABLES = table_with_index('layers.*.attn.', 'layers.*.attn.')
_HEADS = ('head.*', 'patch_head.*', 'loss_module.*')
_DENSE = ('neck.*', 'decode_head.*', 'auxiliary_head.*')
_DETECTION = ('rpn_head.*', 'roi_head.*', 'bbox_head.*', 'mask_head.*')
# What their classes may lack and ours always has, and the reverse.
_ZERO_BIAS = Change(
    'a bias of zeros added', lambda weight: (weight, weight.new_zeros(len(weight))), None, reversible=False
)
_ZERO_QKV = Change(
    'zeros as the bias of queries, keys and values', None, lambda weight: (weight, weight.new_zeros(len(weight))),
    reversible=False,
)  # fmt: skip
_OTHER_HEAD = Change(
    "the layer of VisionTransformerClsHead, which is written as LinearClsHead's", write=None, reversible=False
)
_DERIVED = (Rule('data_preprocessor.*', (), Change('follows from the config')),)

State = dict[str, Tensor]


def to_toolbox(state: Mapping[str, Tensor], toolbox: str) -> State:
    """Bring the state dict of a backbone of ours to the names and the layout of a toolbox's own.

    =========================  =================================  ==============================
    toolbox                    plain ViT                          with relative position bias
    =========================  =================================  ==============================
    mmpretrain                 VisionTransformer                  BEiTViT
    mmseg                      VisionTransformer                  BEiT
    timm                       vit_*                              beit_*
    =========================  =================================  ==============================

    A ``MIMSwinTransformer`` becomes the ``SwinTransformer`` of mmpretrain, mmseg or mmdet, or timm's ``swin_*``.
    What a class has no parameter for is computed into those that it has, which changes no output: a learned scale,
    a bias of queries and values, a table that all blocks share. The mask token is left out.

    Args:
        state: Names without prefix.
        toolbox: One of :data:`TOOLBOXES`.

    Returns:
        Their names; index buffers are included where theirs are part of a state dict.

    Raises:
        CheckpointError: Unknown toolbox, or it has no class for such a backbone.
    """
    from mim_plugin.checkpoints.formats.registry import by_name  # it imports this module

    if toolbox not in TOOLBOXES:
        raise CheckpointError(f'toolbox={toolbox!r} is unknown; use one of {TOOLBOXES}.')
    ours = {f'backbone.{name}': value for name, value in state.items()}
    return apply_rules(by_name(toolbox).rules(ours, writing=True), ours, writing=True).state


class MMPretrainFormat(Format):
    """``VisionTransformer``, ``BEiTViT`` and ``SwinTransformer``, alone or with a classifier's layer."""

    name, title = 'mmpretrain', 'mmpretrain ViT, BEiT, Swin'
    limits = 'no registers; a shared and an own relative bias become one'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Our names with BEiT's scales or index buffers, or a classifier's layer."""
        backbone = below(state, 'backbone.') or state
        if 'patch_embed.projection.weight' not in backbone:
            return False
        heads = ('head.fc.weight', 'head.layers.head.weight', 'head.cls_head.weight')
        return has(backbone, '.gamma_1', INDEX) or has(state, *heads)

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        backbone, prefixed = _backbone(state, writing, ('head.weight', 'head.linear.weight'))
        # Both have a mask token in pretraining, and then a head that predicts codes.
        pretraining = has(state, 'head.linear.weight' if writing else 'head.cls_head.weight')
        if is_swin(backbone):
            rules = _swin(backbone, writing, pretraining)
        else:
            mask_token = Rule('mask_token', 'mask_token', SAME if pretraining or not writing else Change(write=None))
            rules = (*_mmpretrain_vit(backbone, writing), mask_token)
        heads = (
            ('head.fc.weight', 'head.weight'), ('head.fc.bias', 'head.bias'), ('head.cls_head.*', 'head.linear.*')
        )  # fmt: skip
        return (
            *_DERIVED,
            *under(rules, 'backbone.' if prefixed else ''),
            *unplaced('backbone.mask_token', why='their class has no mask token outside of pretraining'),
            *pairs(heads),
            *(Rule(f'head.layers.head.{kind}', f'head.{kind}', _OTHER_HEAD) for kind in ('weight', 'bias')),
            *unplaced(*_HEADS, *_DENSE, *_DETECTION),
        )

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        from mim_plugin.checkpoints.formats.classes import mmpretrain_class, toolbox_outputs

        # Not on the way to the map: the norm of the mean patch and the mask token, which other settings have.
        backbone = {name: value for name, value in _bare(state).items() if not name.startswith(('ln2.', 'mask_token'))}
        return toolbox_outputs(mmpretrain_class(config, backbone), backbone, config, images)


class MMSegFormat(Format):
    """``VisionTransformer``, ``BEiT`` and ``SwinTransformer``, alone or in a segmentor."""

    name, title = 'mmseg', 'mmseg ViT, BEiT, Swin'
    limits = 'no registers, no absolute positions beside a relative bias, no norm of the mean patch, no mask token'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Names of torch's own attention, or a segmentor with their neck or index buffers."""
        backbone = below(state, 'backbone.') or state
        if 'patch_embed.projection.weight' not in backbone:
            return False
        marks = has(backbone, '.gamma_1', INDEX) or any(name.startswith('neck.upsample_') for name in state)
        return has(backbone, 'attn.attn.in_proj_weight') or (has(state, 'decode_head.conv_seg.weight') and marks)

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        backbone, prefixed = _backbone(state, writing, ('decode_head.conv_seg.weight',), swin_is_prefixed=True)
        rules = _swin(backbone, writing) if is_swin(backbone) else _mmseg_vit(backbone, writing)
        necks = (('neck.upsample_4x.*', 'neck.levels.0.*'), ('neck.upsample_2x.*', 'neck.levels.1.*'))
        return (
            *_DERIVED,
            *under(rules, 'backbone.' if prefixed else ''),
            *unplaced('backbone.mask_token', 'backbone.ln2.*'),
            *pairs((*necks, *((name, name) for name in _DENSE))),
            *unplaced(*_HEADS, *_DETECTION),
        )

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        from mim_plugin.checkpoints.formats.classes import mmseg_class, toolbox_outputs

        backbone = _bare(state)
        return toolbox_outputs(mmseg_class(config, backbone), backbone, config, images)


class MMDetFormat(Format):
    """``SwinTransformer``, alone or in a detector."""

    name, title = 'mmdet', 'mmdet Swin'
    limits = 'has no plain vision transformer, no mask token'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """A detector with their Swin."""
        detector = any(name.startswith(('rpn_head.', 'roi_head.', 'bbox_head.')) for name in state)
        return detector and has(state, f'w_msa.{INDEX}')

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        backbone, prefixed = _backbone(state, writing, (), swin_is_prefixed=True)
        if not is_swin(backbone):
            raise CheckpointError(
                'mmdet has no plain vision transformer of its own; use MIMVisionTransformer inside it.'
            )
        return (
            *_DERIVED,
            *under(_swin(backbone, writing), 'backbone.' if prefixed else ''),
            *pairs([(name, name) for name in (*_DETECTION, 'neck.*')]),
            *unplaced(*_HEADS, *_DENSE),
        )

    def outputs(self, state: State, config: Mapping[str, Any], images: Tensor) -> Tensor:
        """See :class:`Format`."""
        from mim_plugin.checkpoints.formats.classes import mmdet_class, toolbox_outputs

        return toolbox_outputs(mmdet_class(config), _bare(state), config, images)


def _backbone(
    state: Mapping[str, Tensor], writing: bool, others: tuple[str, ...], swin_is_prefixed: bool = False
) -> tuple[State, bool]:
    """The backbone without prefix, and whether it has one in their file.

    When writing, that is so if the file has one of the ``others``, and where their Swin reads nothing else.
    """
    if not writing:
        prefixed = any(name.startswith('backbone.') for name in state)
        return (below(state, 'backbone.') if prefixed else dict(state)), prefixed
    return below(state, 'backbone.'), any(name in state for name in others) or (swin_is_prefixed and is_swin(state))


def _swin(backbone: Mapping[str, Tensor], writing: bool, mask_token: bool = False) -> Sequence[Rule]:
    windows = swin_windows(backbone) if writing else ()
    if len(set(windows)) > 1:
        raise CheckpointError(
            f'The windows of the stages have {", ".join(map(str, windows))} cells, and in the Swin transformers of the '
            "toolboxes those of all stages have one size; convert to 'timm' or use MIMSwinTransformer inside theirs."
        )
    kept = (Rule('mask_token', 'mask_token'),) if mask_token else ()
    return (*kept, *swin.rules_of_toolbox(backbone))


def _mmpretrain_vit(backbone: Mapping[str, Tensor], writing: bool) -> Sequence[Rule]:
    if writing:
        refuse_unless_standard(backbone, 'mmpretrain')
    beit = has(backbone, TABLE, '.gamma_1')
    special = ()
    if not beit:
        special = (*pairs([(name, name) for name in _OUR_SCALES]),)
    elif writing:
        both = has(backbone, f'attn.{TABLE}') and SHARED_TABLE in backbone
        special = (Rule(('layers.*.attn.q_bias', 'layers.*.attn.v_bias'), 'layers.*.attn.qkv.bias', NO_KEY_BIAS),)
        special += spread_tables(backbone) if both else ()
    return (
        *special,
        *pairs(list(zip(_SCALES, _OUR_SCALES))),
        *_TABLES,
        *table_with_index('rel_pos_bias.', 'rel_pos_bias.'),
        *(() if beit else (_zero_keys('layers.*.attn.qkv.bias'),)),
        *_SAME,
        Rule('ln2.*', 'ln2.*'),
    )


def _mmseg_vit(backbone: Mapping[str, Tensor], writing: bool) -> Sequence[Rule]:
    if writing:
        refuse_unless_standard(backbone, 'mmseg')
    if has(backbone, TABLE) or has(backbone, '.gamma_1'):
        if writing and 'pos_embed' in backbone:
            raise CheckpointError(
                "mmseg's BEiT has no absolute positions beside its relative bias; use ours inside it."
            )
        return (
            *(spread_tables(backbone) if writing else ()),
            *(added_scales(backbone, _SCALES) if writing else ()),
            Rule(('layers.*.attn.q_bias', 'layers.*.attn.v_bias'), 'layers.*.attn.qkv.bias', NO_KEY_BIAS),
            *pairs(list(zip(_SCALES, _OUR_SCALES))),
            *_TABLES,
            *_SAME,
        )
    qkv, proj = 'layers.*.attn.attn.in_proj_', 'layers.*.attn.attn.out_proj'
    return (
        *_biases_of_mmseg(backbone, writing, qkv, proj),
        *folded_scales(proj, 'layers.*.ffn.layers.1'),
        _zero_keys(f'{qkv}bias'),
        *pairs([(f'{qkv}*', 'layers.*.attn.qkv.*'), (f'{proj}.*', 'layers.*.attn.proj.*')]),
        *_SAME,
    )


def _biases_of_mmseg(backbone: Mapping[str, Tensor], writing: bool, qkv: str, proj: str) -> Sequence[Rule]:
    """Rules for biases that one side lacks: by default that of the patches there, without one of queries two there."""
    if writing:
        if has(backbone, 'attn.q_bias', 'attn.qkv.bias'):
            return ()
        return (Rule((f'{qkv}weight', f'{qkv}bias'), 'layers.*.attn.qkv.weight', _ZERO_QKV),)
    layers = ((proj, 'layers.*.attn.proj'), ('patch_embed.projection', 'patch_embed.projection'))
    return tuple(
        Rule(f'{theirs}.weight', (f'{ours}.weight', f'{ours}.bias'), _ZERO_BIAS)
        for theirs, ours in layers
        if not has(backbone, f'{theirs.rpartition("*")[2]}.bias')
    )


def _zero_keys(theirs: str) -> Rule:
    return Rule(theirs, ('layers.*.attn.q_bias', 'layers.*.attn.v_bias'), ZERO_KEYS)


def _bare(state: Mapping[str, Tensor]) -> State:
    """Their backbone without prefix."""
    backbone = below(state, 'backbone.')
    return backbone or {name: value for name, value in state.items() if not name.startswith('head.')}
