"""From what the loader ships (uint8 crops, masks) to what a model reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mim_plugin.registry import MODELS


@MODELS.register_module()
class MIMDataPreprocessor(BaseDataPreprocessor):
    """Move to the device, join crops, normalise, and list the hidden patches.

    The list of hidden patches is made on the host, where the masks come from, so
    that no step waits for the device to count them.

    Args:
        mean: Mean a channel, in grey values 0 to 255.
        std: Standard deviation a channel, in grey values.
        non_blocking: Copy to the device without waiting (for pinned memory).
        with_target: Also give what a frozen tokenizer sees: the pipeline's ``target`` views or, where
            there are none, the global crops, with values in [0, 1] and not normalised.
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        non_blocking: bool = True,
        with_target: bool = False,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        self.with_target = with_target
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare one batch.

        Args:
            data: ``inputs`` is a dict of views, see :class:`PackViews` (every entry a
                list with one stacked tensor a crop), or images to evaluate: a list of
                ``(3, H, W)`` of one size or a stacked tensor.
            training: Unused, part of mmengine's interface.

        Returns:
            ``data`` with ``inputs`` replaced by normalised images ``(B, 3, H, W)``, or
            for views by a dict: ``global`` (G*B, 3, S, S), ``local`` (L*B, 3, s, s) or
            None, ``mask`` (G*B, h, w) bool or None, ``mask_index`` (M,), ``mask_weight``
            (M,), ``num_global`` G, ``num_local`` L; the three of local crops under ``local_mask``,
            ``local_mask_index`` and ``local_mask_weight``; if wanted, ``target`` (G*B, 3, S', S') or
            ``ids`` (G*B, h, w) where the pipeline brings them. Crops are crop-major. Pairs of patches
            (``MatchPatches``) are listed like hidden patches: ``match_index`` (M,), ``match_partner`` (M,)
            and ``match_weight`` (M,).
        """
        inputs = data['inputs']
        if isinstance(inputs, dict):
            return {**data, 'inputs': self._views(inputs)}
        if not isinstance(inputs, Tensor):
            inputs = torch.stack(list(inputs))
        return {**data, 'inputs': self._normalise(self._to_device(inputs))}

    def _views(self, views: dict[str, list[Tensor]]) -> dict:
        local = views.get('local') or []
        prepared = {
            'global': self._join(views['global']),
            'local': self._join(local) if local else None,
            'num_global': len(views['global']),
            'num_local': len(local),
        }
        if views.get('ids'):
            prepared['ids'] = torch.cat([self._to_device(ids) for ids in views['ids']]).long()
        elif self.with_target:
            crops = views.get('target') or views['global']
            prepared['target'] = torch.cat([self._to_device(crop) for crop in crops]).float() / 255
        if views.get('match'):
            prepared |= self._matched_patches(views['match'])
        for key in ('mask', 'local_mask'):
            masks = views.get(key) or None
            hidden = self._hidden_patches(torch.cat(masks) if masks else None)
            prepared |= {name.replace('mask', key): value for name, value in hidden.items()}
        return prepared

    def _hidden_patches(self, mask: Tensor | None) -> dict[str, Tensor | None]:
        if mask is None:
            index, weight = torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        else:
            index, weight = _listed(mask)
        return {
            'mask': None if mask is None else self._to_device(mask),
            'mask_index': self._to_device(index),
            'mask_weight': self._to_device(weight),
        }

    def _matched_patches(self, crops: list[Tensor]) -> dict[str, Tensor]:
        """Pairs of a patch and its partner in the next crop (of the last crop: in the first)."""
        partner = torch.cat(crops)  # (G*B, N), -1 for patches without partner
        rows, patches = partner.shape
        next_crop = torch.arange(rows).roll(-len(crops[0]))[:, None] * patches
        index, weight = _listed(partner >= 0)
        pairs = {'match_index': index, 'match_partner': (partner + next_crop).flatten()[index], 'match_weight': weight}
        return {name: self._to_device(value) for name, value in pairs.items()}

    def _join(self, crops: list[Tensor]) -> Tensor:
        return self._normalise(torch.cat([self._to_device(crop) for crop in crops]))

    def _normalise(self, images: Tensor) -> Tensor:
        return (images.float() - self.mean) / self.std

    def _to_device(self, x: Tensor) -> Tensor:
        if self.device.type == 'cuda' and x.device.type == 'cpu' and self._non_blocking:
            x = x.pin_memory()  # only copies from pinned memory run beside the computation
        return x.to(self.device, non_blocking=self._non_blocking)


def _listed(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the patches that a mask ``(B, ...)`` names, and one over their number in the same crop."""
    count = mask.flatten(1).sum(1)
    return mask.flatten().nonzero().squeeze(1), torch.repeat_interleave(1.0 / count.clamp(min=1), count)
