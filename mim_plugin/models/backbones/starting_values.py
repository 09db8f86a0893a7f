"""How the parameters of a vision transformer start."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.init import trunc_normal_

__all__ = ['STARTS', 'Start', 'set_starting_values']

_STD = 0.02


@dataclass(frozen=True)
class Start:
    """A rule for starting values.

    Attributes:
        cut: Normals of standard deviation 0.02 are drawn anew beyond this absolute value. At 0.02 what is
            drawn has a standard deviation of 0.0108.
        everything: The patch projection (with a bias of zero) and the mask token are drawn too; otherwise the
            projection keeps torch's start and the mask token is zero.
        rescale: Divide the last map of both branches of block ``n`` (from 1) by ``sqrt(2 n)``.
    """

    cut: float
    everything: bool
    rescale: bool

    def draw(self, weight: Tensor) -> None:
        """Fill a tensor with the normal."""
        trunc_normal_(weight, std=_STD, a=-self.cut, b=self.cut)


# 'ibot': iBOT, DINO and, as their toolbox draws all linear maps anew, dense tasks of BEiT without a checkpoint.
# 'beit': BEiT's pretraining. 'beit_finetune': BEiT's classifier.
STARTS = {
    'ibot': Start(cut=2.0, everything=False, rescale=False),
    'beit': Start(cut=_STD, everything=True, rescale=True),
    'beit_finetune': Start(cut=2.0, everything=False, rescale=True),
}


@torch.no_grad()
def set_starting_values(model: nn.Module, start: Start) -> None:
    """Draw linear maps and learned vectors; biases become zero, all else keeps what its constructor gave.

    Args:
        model: A ``MIMVisionTransformer``.
        start: The rule.

    Source: the published code of iBOT (arXiv 2111.07832) and BEiT (arXiv 2106.08254, section 2.5).
    """
    for token in (model.cls_token, model.reg_token, model.pos_embed):
        if token is not None:
            start.draw(token)
    drawn = (nn.Linear, nn.Conv2d) if start.everything else nn.Linear
    for module in model.modules():
        if isinstance(module, drawn):
            start.draw(module.weight)
            if module.bias is not None:
                module.bias.zero_()
    if start.everything and model.mask_token is not None:
        start.draw(model.mask_token)
    if start.rescale:
        for number, block in enumerate(model.layers, start=1):
            block.attn.proj.weight.div_(math.sqrt(2 * number))
            block.ffn.layers[1].weight.div_(math.sqrt(2 * number))
