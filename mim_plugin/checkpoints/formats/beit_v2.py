"""Names in the published BEiT v2 checkpoints and in ours: those of BEiT, and what its pretraining adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from mim_plugin.checkpoints.formats.base import Change, Rule
from mim_plugin.checkpoints.formats.beit import BEiTFormat
from mim_plugin.errors import CheckpointError

__all__ = ['BEiTv2Format']

# The layers that predict the codes a second time, from the last [CLS] and the patches of an earlier block.
CLS_LAYERS = ('cls_pt_layers.*', 'cls_pt_norm.*', 'cls_pt_lm_head.*')
_NO_PLACE = Change('layers that pretrain [CLS], after the backbone; ours has none')


class BEiTv2Format(BEiTFormat):
    """Pretraining files. Fine-tuned ones and segmenters have exactly the names of BEiT's."""

    name, title = 'beit_v2', 'BEiT v2 (official)'
    parity = 'pretraining: names only; fine-tuned: as beit'
    limits = f'{BEiTFormat.limits}, no layers that pretrain [CLS], no VQ-KD tokenizer'

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """What only BEiT v2 has."""
        return _is_tokenizer(state) or any(name.startswith('cls_pt_layers.') for name in state)

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`."""
        if _is_tokenizer(state):
            raise CheckpointError(
                'The checkpoint is the VQ-KD tokenizer of BEiT v2 (encoder, codebook and decoder), for which there '
                'is no class of ours; name the pretrained or fine-tuned model.'
            )
        return (*(Rule(name, (), _NO_PLACE, loses=True) for name in CLS_LAYERS), *super().rules(state, writing))


def _is_tokenizer(state: Mapping[str, Tensor]) -> bool:
    return any(name.startswith('quantize.') for name in state) and 'encoder.patch_embed.proj.weight' in state
