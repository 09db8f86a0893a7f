"""All families, in the order in which they are asked whether a file is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mim_plugin.checkpoints.formats.base import Format
from mim_plugin.checkpoints.formats.beit import BEiTFormat
from mim_plugin.checkpoints.formats.beit_v2 import BEiTv2Format
from mim_plugin.checkpoints.formats.dalle import DALLEFormat
from mim_plugin.checkpoints.formats.dinov2 import DINOv2Format
from mim_plugin.checkpoints.formats.hugging_face import HuggingFaceFormat
from mim_plugin.checkpoints.formats.ibot import DINOFormat, IBOTFormat
from mim_plugin.checkpoints.formats.ours import OursFormat
from mim_plugin.checkpoints.formats.timm import TimmFormat
from mim_plugin.checkpoints.formats.toolboxes import MMDetFormat, MMPretrainFormat, MMSegFormat
from mim_plugin.errors import CheckpointError

__all__ = ['FORMATS', 'by_name', 'format_of', 'format_of_folder']

# Special ones first: the names of a plain iBOT backbone are also those of other families.
FORMATS: tuple[Format, ...] = (
    HuggingFaceFormat(),
    DINOv2Format(),
    DINOFormat(),
    TimmFormat(),
    BEiTv2Format(),
    BEiTFormat(),
    IBOTFormat(),
    MMDetFormat(),
    MMSegFormat(),
    MMPretrainFormat(),
    DALLEFormat(),
    OursFormat(),
)


def by_name(name: str) -> Format:
    """The family with a name.

    Raises:
        CheckpointError: There is none.
    """
    for known in FORMATS:
        if name == known.name or name in known.aliases:
            return known
    raise CheckpointError(f'Format {name!r} is unknown; use one of {", ".join(known.name for known in FORMATS)}.')


def format_of(state: Mapping[str, Tensor]) -> Format:
    """The family whose names a state dict has.

    Raises:
        CheckpointError: None knows them.
    """
    for known in FORMATS:
        if known.recognises(state):
            return known
    raise CheckpointError(
        f'The names of the checkpoint ({", ".join(list(state)[:4])}, ...) are those of no known format; '
        f'known are {", ".join(known.name for known in FORMATS)}.'
    )


def format_of_folder(path: Path) -> Format:
    """The family of which a folder is a checkpoint.

    Raises:
        CheckpointError: None.
    """
    for known in FORMATS:
        if known.recognises_folder(path):
            return known
    raise CheckpointError(f'{path} is a folder, and not one that a known format is stored in; name the file in it.')
