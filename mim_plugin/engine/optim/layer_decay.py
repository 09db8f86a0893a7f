"""Learning rates that shrink with the distance from the head."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mim_plugin.engine.optim.constructor import MIMOptimWrapperConstructor, decays
from mim_plugin.errors import ConfigError
from mim_plugin.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ['LayerDecayOptimWrapperConstructor', 'LayerDepths', 'layer_decay_groups']

NO_DECAY = ('pos_embed', 'cls_token')
_MULTIPLIERS = ('lr_mult', 'decay_mult')

CustomKeys = Mapping[str, Mapping[str, float]]


class LayerDepths:
    """The depth of every parameter of a model, asked from the backbones in it.

    A backbone is any module with ``get_layer_depth(name, prefix)`` (ours, mmpretrain's), wherever it is:
    in a classifier, segmentor, detector or self-supervised algorithm.

    Args:
        model: The bare model.
        originals: Count a mask token to the head, as the published iBOT code, which does not know its name.

    Raises:
        ConfigError: There is no such module, or the model's ``backbone`` is none.
    """

    def __init__(self, model: nn.Module, originals: bool = False) -> None:
        found = {name: module for name, module in model.named_modules() if _knows_depths(module)}
        # What only passes the question on to a backbone in it does not count: the innermost modules do.
        self.backbones = {
            f'{name}.' if name else '': module
            for name, module in found.items()
            if not any(other != name and other.startswith(f'{name}.' if name else '') for other in found)
        }
        backbone = getattr(model, 'backbone', None)
        if not self.backbones or (backbone is not None and not any(p.startswith('backbone.') for p in self.backbones)):
            other = f' ({type(backbone).__name__})' if backbone is not None else ''
            raise ConfigError(
                f'{type(model).__name__} has no backbone{other} with get_layer_depth(name, prefix), which layer-wise '
                'learning rates need; use MIMVisionTransformer or MIMSwinTransformer, or leave them out with '
                "optim_wrapper.constructor='DefaultOptimWrapperConstructor' and without layer_decay_rate."
            )
        self.originals = originals

    def __call__(self, name: str) -> tuple[int, int]:
        """Depth of a parameter and number of depths; what is in no backbone has the last depth of the first."""
        prefix = next((p for p in self.backbones if name.startswith(p)), next(iter(self.backbones)))
        backbone = self.backbones[prefix]
        try:
            depth, count = backbone.get_layer_depth(name, prefix)
        except NotImplementedError as error:
            raise ConfigError(
                f'{type(backbone).__name__} of this size tells no depths for layer-wise learning rates; use another, '
                "or optim_wrapper.constructor='DefaultOptimWrapperConstructor' without layer_decay_rate."
            ) from error
        if self.originals and name.endswith('mask_token'):
            depth = count - 1
        return depth, count


def _knows_depths(module: nn.Module) -> bool:
    """Whether a module is a backbone that tells depths; mmpretrain's algorithms ask theirs and take no prefix."""
    method = getattr(module, 'get_layer_depth', None)
    return method is not None and 'prefix' in signature(method).parameters


def layer_decay_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay_rate: float,
    no_decay: Sequence[str] = NO_DECAY,
    originals: bool = False,
    custom_keys: CustomKeys | None = None,
) -> list[dict[str, Any]]:
    """One parameter group for each depth, with and without weight decay, and for what ``custom_keys`` set apart.

    A parameter of depth ``i`` of ``n`` has the learning rate ``lr * layer_decay_rate ** (n - 1 - i)``.

    Args:
        model: The bare model.
        lr: Learning rate of the last depth: final norm, necks and heads.
        weight_decay: Of what is decayed.
        layer_decay_rate: Factor from one depth to the one before.
        no_decay: Names without weight decay, see :func:`mim_plugin.engine.optim.decays`.
        originals: Do as the published dense-task code of BEiT and iBOT, whose exceptions miss the prefix ``backbone.``:
            positions and [CLS] are decayed, and iBOT's mask token counts as part of the head.
        custom_keys: As in mmengine: parts of names, each with ``lr_mult`` and ``decay_mult``, factors of the rate and
            the weight decay; the longest part that a name has counts, of equal ones the first by alphabet. With
            ``decay_mult`` the part decides alone about the decay, biases included; without it the usual rule holds.

    Returns:
        Groups in the order in which the model first needs them, with ``name`` ('layer_3_no_decay'; that of a group
        which a key of ``custom_keys`` set apart ends with the key), ``lr``, ``lr_scale`` and ``weight_decay``. Frozen
        parameters are left out.

    Raises:
        ConfigError: As :class:`LayerDepths`, or ``custom_keys`` has an unknown entry.
    """
    depths, groups = LayerDepths(model, originals), {}
    custom, used = _CustomKeys(custom_keys or {}), set()
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        depth, count = depths(name)
        key, lr_mult, decay_mult = custom(name)
        used.add(key)
        if decay_mult is None:
            decay_mult = float(decays(name, param, () if originals else no_decay))
        scale = layer_decay_rate ** (count - 1 - depth) * lr_mult
        apart = lr_mult != 1 or decay_mult not in (0, 1)
        # Two backbones of different length may share a depth, so the factor is part of the key.
        opened = {
            'params': [],
            'name': f'layer_{depth}_{"decay" if decay_mult else "no_decay"}' + (f'_{key}' if apart else ''),
            'lr': lr * scale,
            'lr_scale': scale,
            'weight_decay': weight_decay * decay_mult,
        }
        groups.setdefault((depth, scale, decay_mult), opened)['params'].append(param)
    custom.warn_of_others(used)
    return list(groups.values())


class _CustomKeys:
    """What ``custom_keys`` say about a parameter.

    Args:
        keys: Multipliers by part of a name.
    """

    def __init__(self, keys: CustomKeys) -> None:
        for key, entry in keys.items():
            if not isinstance(entry, Mapping) or entry.keys() - set(_MULTIPLIERS):
                raise ConfigError(
                    f'optim_wrapper.paramwise_cfg.custom_keys[{key!r}]={entry!r} is no dict of {_MULTIPLIERS}; '
                    'remove what else it has.'
                )
        self.keys = {key: keys[key] for key in sorted(sorted(keys), key=len, reverse=True)}

    def __call__(self, name: str) -> tuple[str | None, float, float | None]:
        """The key that counts for a name, and its multipliers; that of the decay is None where it says nothing."""
        if '.' not in name:
            name = f'.{name}'  # as mmengine sees a parameter of the model itself
        key = next((key for key in self.keys if key in name), None)
        entry = self.keys.get(key, {})
        return key, entry.get('lr_mult', 1.0), entry.get('decay_mult')

    def warn_of_others(self, used: set[str | None]) -> None:
        """Say which keys did nothing."""
        if others := [key for key in self.keys if key not in used]:
            print_log(f'custom_keys {others} name no trained parameter.', logger='current', level=logging.WARNING)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(MIMOptimWrapperConstructor):
    """Builds optimizer and wrapper with layer-wise learning rates, for any model with a backbone that knows its depths.

    ``constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay_rate=0.65)`` in ``optim_wrapper``.

    Args:
        optim_wrapper_cfg: Config of the wrapper with its ``optimizer``, which must say ``lr``.
        paramwise_cfg: Options ``layer_decay_rate`` (1: the same everywhere), ``no_decay``, ``custom_keys`` and
            ``originals``, see :func:`layer_decay_groups`.

    Raises:
        ConfigError: Unknown option, a rate outside (0, 1], or no ``lr``.

    Source: fine-tuning of BEiT (arXiv 2106.08254), appendix; the published code of BEiT and iBOT.
    """

    options = {'layer_decay_rate': 1.0, 'no_decay': NO_DECAY, 'originals': False, 'custom_keys': None}

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
