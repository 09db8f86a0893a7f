"""Learning rates that shrink with the distance from the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mim_plugin.engine.optim.constructor import MIMOptimWrapperConstructor, decays
from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ['LayerDecayOptimWrapperConstructor', 'LayerDepths', 'layer_decay_groups']

NO_DECAY = ('pos_embed', 'cls_token')


class LayerDepths:
    """The depth of every parameter of a model, asked from the backbones in it.

    A backbone is any module with ``get_layer_depth(name, prefix)`` (ours, mmpretrain's), wherever it is:
    in a classifier, segmentor, detector or self-supervised algorithm.

    Args:
        model: The bare model.
        originals: Count a mask token to the head, as the published iBOT code, which does not know its name.

    Raises:
        ConfigError: There is no such module.
    """

    def __init__(self, model: nn.Module, originals: bool = False) -> None:
        found = {name: module for name, module in model.named_modules() if hasattr(module, 'get_layer_depth')}
        # A classifier of mmpretrain answers for the backbone in it: the innermost modules count.
        self.backbones = {
            f'{name}.' if name else '': module
            for name, module in found.items()
            if not any(other != name and other.startswith(f'{name}.' if name else '') for other in found)
        }
        if not self.backbones:
            raise ConfigError(
                f'{type(model).__name__} has no backbone with get_layer_depth(), which layer-wise learning rates need; '
                "use MIMVisionTransformer or optim_wrapper.constructor='DefaultOptimWrapperConstructor'."
            )
        self.originals = originals

    def __call__(self, name: str) -> tuple[int, int]:
        """Depth of a parameter and number of depths; what is in no backbone has the last depth of the first."""
        prefix = next((p for p in self.backbones if name.startswith(p)), next(iter(self.backbones)))
        depth, count = self.backbones[prefix].get_layer_depth(name, prefix)
        if self.originals and name.endswith('mask_token'):
            depth = count - 1
        return depth, count


def layer_decay_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay_rate: float,
    no_decay: Sequence[str] = NO_DECAY,
    originals: bool = False,
) -> list[dict[str, Any]]:
    """One parameter group for each depth, with and without weight decay.

    A parameter of depth ``i`` of ``n`` has the learning rate ``lr * layer_decay_rate ** (n - 1 - i)``.

    Args:
        model: The bare model.
        lr: Learning rate of the last depth: final norm, necks and heads.
        weight_decay: Of what is decayed.
        layer_decay_rate: Factor from one depth to the one before.
        no_decay: Names without weight decay, see :func:`mim_plugin.engine.optim.decays`.
        originals: Do as the published dense-task code of BEiT and iBOT, whose exceptions miss the prefix ``backbone.``:
            positions and [CLS] are decayed, and iBOT's mask token counts as part of the head.

    Returns:
        Groups in the order in which the model first needs them, with ``name`` ('layer_3_no_decay'),
        ``lr``, ``lr_scale`` and ``weight_decay``. Frozen parameters are left out.
    """
    depths, groups = LayerDepths(model, originals), {}
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        depth, count = depths(name)
        decayed = decays(name, param, () if originals else no_decay)
        scale = layer_decay_rate ** (count - 1 - depth)
        # Two backbones of different length may share a depth, so the factor is part of the key.
        group = groups.setdefault((depth, scale, decayed), {'params': []})
        group['params'].append(param)
        group.update(
            name=f'layer_{depth}_{"decay" if decayed else "no_decay"}',
            lr=lr * scale,
            lr_scale=scale,
            weight_decay=weight_decay if decayed else 0.0,
        )
    return list(groups.values())


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(MIMOptimWrapperConstructor):
    """Builds optimizer and wrapper with layer-wise learning rates, for any model with a backbone that knows its depths.

    ``constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay_rate=0.65)`` in ``optim_wrapper``.

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``, which must say ``lr``.
        paramwise_cfg: Options ``layer_decay_rate`` (1: the same everywhere), ``no_decay`` and ``originals``, see
            :func:`layer_decay_groups`.

    Raises:
        ConfigError: Unknown option, a rate outside (0, 1], or no ``lr``.

    Source: fine-tuning of BEiT (arXiv 2106.08254), appendix; the published code of BEiT and iBOT.
    """

    options = {'layer_decay_rate': 1.0, 'no_decay': NO_DECAY, 'originals': False}

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        rate = self.paramwise['layer_decay_rate']
        if not 0 < rate <= 1:
            raise ConfigError(f'paramwise_cfg.layer_decay_rate={rate} is not in (0, 1]; set it to 0.65 to 0.95.')
        if 'lr' not in self.optimizer_cfg:
            raise ConfigError('Layer-wise learning rates are shares of optimizer.lr; set it in optim_wrapper.')

    def groups(self, model: nn.Module) -> list[dict]:
        """Parameter groups of a bare model."""
        weight_decay = self.optimizer_cfg.get('weight_decay', 0.0)
        return layer_decay_groups(model, self.optimizer_cfg['lr'], weight_decay, **self.paramwise)
