"""What all backbones share: starting weights and frozen parts."""

from __future__ import annotations

from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from torch import nn

from mim_plugin.checkpoints.hook import fill_backbone

__all__ = ['MIMBackbone']


class MIMBackbone(BaseModule):
    """Base of the backbones.

    A subclass lists its frozen parts in :meth:`_frozen_modules` and :meth:`_frozen_tokens`, and calls
    :meth:`_freeze` at the end of its constructor.

    Args:
        init_cfg: As in mmengine; ``dict(type='Pretrained', checkpoint=FILE)`` (with ``part='student'``
            or ``prefix=...`` if wanted) reads every kind of file that ``load_pretrained`` knows.
    """

    def __init__(self, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.register_load_state_dict_pre_hook(fill_backbone)

    def init_weights(self) -> None:
        """Follow ``init_cfg``; the starting values of the constructor are kept without it."""
        if not isinstance(self.init_cfg, dict) or self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        from mim_plugin.checkpoints import load_pretrained

        options = {key: self.init_cfg[key] for key in ('part', 'prefix', 'strict') if key in self.init_cfg}
        load_pretrained(self, self.init_cfg['checkpoint'], **options)
        if hasattr(self, '_params_init_info'):  # what mmengine logs about each parameter
            update_init_info(self, f'Loaded from {self.init_cfg["checkpoint"]}')
        self._is_init = True

    def _frozen_modules(self) -> list[nn.Module]:
        """Modules that are not trained and stay in evaluation mode."""
        return []

    def _frozen_tokens(self) -> list[nn.Parameter]:
        """Parameters outside of modules that are not trained."""
        return []

    def _freeze(self) -> None:
        for part in (*self._frozen_modules(), *self._frozen_tokens()):
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> MIMBackbone:
        """Switch the mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self
