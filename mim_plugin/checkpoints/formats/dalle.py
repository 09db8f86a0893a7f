"""DALL-E's published encoder and decoder: whole pickled modules, whose names are also those of our networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mim_plugin.checkpoints.foreign_module import read_foreign_module
from mim_plugin.checkpoints.formats.base import Format, Rule, pairs
from mim_plugin.checkpoints.read import read_checkpoint
from mim_plugin.errors import CheckpointError

__all__ = ['DALLEFormat']


class DALLEFormat(Format):
    """``encoder.pkl`` and ``decoder.pkl``. They become a file of tensors, which the tokenizers read as well."""

    name, title = 'dalle', "DALL-E's encoder.pkl and decoder.pkl"
    parity = 'the published code (stored results)'
    limits = 'read, not written'
    writable = False

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """The first convolution, which has a name of its own."""
        return 'blocks.input.w' in state

    def rules(self, state: Mapping[str, Tensor], writing: bool = False) -> Sequence[Rule]:
        """See :class:`Format`. The network is compared with the class that has its sizes."""
        from mim_plugin.models.dvae import DALLEDecoder, DALLEEncoder  # the models import this package

        for network in (DALLEEncoder, DALLEDecoder):
            if (sizes := network.sizes_in(state)) is None:
                continue
            with torch.device('meta'):
                wanted = network(**sizes).state_dict()
            lacking = [name for name, value in wanted.items() if name not in state or state[name].shape != value.shape]
            if lacking:
                raise CheckpointError(
                    f'{network.kind} lacks {", ".join(lacking[:4])}, or has it in another shape; get the whole file.'
                )
            return pairs([(name, name) for name in wanted])
        raise CheckpointError("The file holds neither DALL-E's encoder nor its decoder; name another --from.")

    def load(self, path: Path) -> dict[str, Any]:
        """The weights of the module; its code is neither in the file nor imported."""
        return {'state_dict': read_foreign_module(path).state_dict} if path.suffix == '.pkl' else read_checkpoint(path)
