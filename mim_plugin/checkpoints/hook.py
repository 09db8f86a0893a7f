"""Files of any known kind through mmengine's own loading: ``load_from`` of a config, ``init_model`` of a toolbox.

mmengine reads a file, and a backbone of ours later gets those tensors whose names begin like its own, which of a
published file are none. The reader of this package therefore leaves a note on the state dict, in the table that
torch hands to every module as ``local_metadata``; a hook of the backbone reads it and takes its weights from the file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

__all__ = ['FileMetadata', 'FileNote', 'fill_algorithm', 'fill_backbone', 'fill_pyramid', 'with_note']

_KEY = 'mim_plugin.file'
_ROOTS = ('', 'backbone.')  # a model that is the backbone, and one that has it; not the teacher of some distillation


@dataclass(frozen=True)
class FileNote:
    """What a hook needs to know about the file that is being loaded.

    Attributes:
        path: Its name, for reports.
        checkpoint: All that was read from it.
    """

    path: str
    checkpoint: Mapping[str, Any]

    def flat(self) -> dict[str, Any]:
        """What mmengine looks for names in, without the prefix of distributed training."""
        state = self.checkpoint.get('state_dict', self.checkpoint)
        return {str(name).removeprefix('module.'): value for name, value in state.items()}


class FileMetadata(dict):
    """The versions of modules that a state dict carries, and the note for each. Saved or copied, it is a dict again."""

    def __init__(self, versions: Mapping[str, Any], note: FileNote) -> None:
        super().__init__(versions)
        self.note = note

    def get(self, name: str, default: Any = None) -> dict[str, Any]:
        """What a module with this name is told."""
        return {**super().get(name, default or {}), _KEY: self.note}

    def __reduce_ex__(self, protocol: int) -> tuple:
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict) -> FileMetadata:
        return FileMetadata(self, self.note)


def with_note(checkpoint: dict[str, Any], path: Any) -> dict[str, Any]:
    """The same checkpoint, whose state dict says which file it came from."""
    original = dict(checkpoint)  # the note must not hold what holds it, or both would outlive the load
    nested = isinstance(original.get('state_dict'), Mapping)
    state = OrderedDict(original['state_dict'] if nested else original)
    versions = getattr(original['state_dict'] if nested else checkpoint, '_metadata', None)
    state._metadata = FileMetadata(versions or {}, FileNote(str(path), original))
    return {**original, 'state_dict': state} if nested else state


def fill_backbone(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, local_metadata: Mapping, *lists: Any
) -> None:
    """Pre-hook of a backbone: take its weights from a file whose names are not those of the model.

    Of a file with two networks it is the teacher. Nothing happens when all names are there with the right shapes, or
    when the state dict came from no file.

    Raises:
        CheckpointError: The file does not fill the backbone; names and shapes are listed.
    """
    note = local_metadata.get(_KEY)
    if note is None or prefix not in _ROOTS or _fits(module, state_dict, prefix):
        return
    from mim_plugin.checkpoints.contents import contents_of
    from mim_plugin.checkpoints.formats.traits import below

    contents = contents_of(note.checkpoint, note.path)
    network = contents.teacher
    state = below(network, 'backbone.') or network
    others = {name for name in network if not name.startswith('backbone.')} if len(state) < len(network) else set()
    flat = note.flat()
    aside = sorted({name.split('.')[0] for name in others if name not in flat and not name.startswith('neck.')})
    origin = contents.origin + (', teacher' if contents.is_pair else '')
    origin += f', without its {" and ".join(aside)}' if aside else ''
    _fill(module, state, f'{note.path} ({origin})', state_dict, prefix)
    if prefix:
        print_log(_about_the_rest(others & flat.keys()), logger='current')
    _forget(lists[2], flat.keys() - others)


def _about_the_rest(others: set[str]) -> str:
    """mmengine prints which names it missed, but not into the log of a run."""
    if not others:
        return 'The parts of the model other than its backbone are not in the file and start anew.'
    parts = ', '.join(sorted({name.split('.')[0] for name in others}))
    return f'Of the rest of the file ({parts}) mmengine takes what has the name and shape of a part of the model.'


def fill_pyramid(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, local_metadata: Mapping, *lists: Any
) -> None:
    """Pre-hook of a pyramid, which BEiT's files count to the backbone. It starts anew when the file has none."""
    note = local_metadata.get(_KEY)
    if note is None or not prefix.startswith('neck.') or _fits(module, state_dict, prefix):
        return
    from mim_plugin.checkpoints.contents import contents_of
    from mim_plugin.checkpoints.formats.traits import below

    contents = contents_of(note.checkpoint, note.path)
    if state := below(contents.teacher, 'neck.'):
        _fill(module, state, f'{note.path} ({contents.origin}, its pyramid)', state_dict, prefix)


def fill_algorithm(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, local_metadata: Mapping, *lists: Any
) -> None:
    """Pre-hook of a pretraining: both networks and the centres, as :func:`load_pretrained` takes them."""
    note = local_metadata.get(_KEY)
    if note is None or prefix:
        return
    if _fits(module, state_dict, prefix):
        module.note_start(state_dict)
        return
    from mim_plugin.checkpoints.load import load_pretrained

    module.note_start(load_pretrained(module, note.checkpoint, source=note.path).loaded)
    _replace(module, state_dict, prefix)


def _fits(module: nn.Module, state_dict: Mapping[str, Tensor], prefix: str) -> bool:
    """Whether every weight is there under its own name."""
    from mim_plugin.checkpoints.load import MAY_KEEP

    for name, value in module.state_dict().items():
        given = state_dict.get(prefix + name)
        if given is None and not MAY_KEEP.search(name):
            return False
        if given is not None and getattr(given, 'shape', None) != value.shape:
            return False
    return True


def _fill(module: nn.Module, state: dict[str, Tensor], source: str, state_dict: dict[str, Tensor], prefix: str) -> None:
    from mim_plugin.checkpoints.load import LoadReport, fill

    fill(module, state, LoadReport(source))
    _replace(module, state_dict, prefix)


def _replace(module: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> None:
    """What is loaded next under the module's names is what it has by now."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        del state_dict[name]
    state_dict.update({prefix + name: value for name, value in module.state_dict().items()})


def _forget(unexpected: list[str], names: set[str]) -> None:
    """Entries of the file that mmengine would list as unknown although the report has told of them."""
    unexpected[:] = [name for name in unexpected if name not in names]
