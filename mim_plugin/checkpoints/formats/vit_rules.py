"""Rules that several families share for plain vision transformers. Names are without prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mim_plugin.checkpoints.formats.base import Change, Rule
from mim_plugin.checkpoints.formats.traits import TABLE, count, has, is_square
from mim_plugin.errors import CheckpointError

__all__ = [
    'INDEX',
    'NO_KEY_BIAS',
    'SHARED_TABLE',
    'ZERO_KEYS',
    'added_scales',
    'folded_scales',
    'refuse_unless_standard',
    'spread_tables',
    'table_with_index',
    'unplaced',
    'with_index',
]

INDEX = 'relative_position_index'
SHARED_TABLE = f'rel_pos_bias.{TABLE}'
# A bias of the keys adds the same to all logits of a query, which softmax does not notice.
NO_KEY_BIAS = Change(
    'bias of the keys left out: attention does not depend on it', None, lambda b: b.chunk(3)[::2], reversible=False
)
ZERO_KEYS = Change(
    'zeros as the bias of the keys', None, lambda q, v: torch.cat([q, torch.zeros_like(q), v]), reversible=False
)
_FOLDED = Change(
    'learned scale multiplied into the layer before it',
    None,
    lambda weight, bias, scale: (scale[:, None] * weight, scale * bias),
    reversible=False,
)
_ONES = Change(
    'a scale of one added',
    None,
    lambda weight: (weight, torch.ones(len(weight), dtype=weight.dtype)),
    reversible=False,
)


def with_index(make: Callable[[Tensor], Tensor]) -> Change:
    """A table of relative position bias and the index buffer that belongs to it.

    Args:
        make: Gives the buffer for a table. A file with another one is refused: it computes something else.
    """

    def read(table: Tensor, index: Tensor) -> Tensor:
        wanted = make(table)
        if index.shape != wanted.shape or not bool((index == wanted).all()):
            raise CheckpointError(
                f'An index buffer of shape {tuple(index.shape)} is not the one that belongs to a relative position '
                f'bias of {len(table)} rows; our backbones would compute something else with this file.'
            )
        return table

    return Change('the index buffer follows from the table', read, lambda table: (table, make(table)))


def table_with_index(theirs: str, ours: str) -> tuple[Rule, ...]:
    """Rules for a table of relative position bias whose index buffer is part of their state dict.

    Args:
        theirs: Beginning of their name, up to the dot.
        ours: Of ours.
    """
    return (
        Rule((theirs + TABLE, theirs + INDEX), ours + TABLE, with_index(_index_of_square)),
        Rule(theirs + TABLE, ours + TABLE),
    )


def _index_of_square(table: Tensor) -> Tensor:
    from mim_plugin.checkpoints.formats.beit import index_of_table  # it imports these rules

    if not is_square(len(table) - 3):
        raise CheckpointError(
            f'A relative position bias of {len(table)} rows belongs to a rectangle of patches; the index buffer that '
            "the target has beside it is known here for squares only. Convert to 'timm', which has none."
        )
    return index_of_table(table)


def spread_tables(ours: Mapping[str, Tensor]) -> tuple[Rule, ...]:
    """The rule for a class that has a table in each block and no shared one (mmseg's BEiT).

    Args:
        ours: Names of ours that are to be written.
    """
    if SHARED_TABLE not in ours:
        return ()
    blocks = range(count(ours, r'layers\.'))
    own = [f'layers.{i}.attn.{TABLE}' for i in blocks if f'layers.{i}.attn.{TABLE}' in ours]
    theirs = tuple(f'layers.{i}.attn.{kind}' for i in blocks for kind in (TABLE, INDEX))

    def spread(shared: Tensor, *tables: Tensor) -> tuple[Tensor, ...]:
        tables = [table + shared for table in tables] if tables else [shared] * len(blocks)
        return tuple(part for table in tables for part in (table, _index_of_square(table)))

    change = Change('the table of all blocks given to each', None, spread, reversible=False)
    return (Rule(theirs, (SHARED_TABLE, *own), change),)


def folded_scales(proj: str, fc2: str) -> tuple[Rule, ...]:
    """Rules for a class without learned scales. Arguments: their names of the last layers of the branches."""
    layers = (
        (proj, 'layers.*.attn.proj', 'layers.*.attn.gamma1'),
        (fc2, 'layers.*.ffn.layers.1', 'layers.*.ffn.gamma2'),
    )
    return tuple(
        Rule((f'{theirs}.weight', f'{theirs}.bias'), (f'{ours}.weight', f'{ours}.bias', f'{scale}.weight'), _FOLDED)
        for theirs, ours, scale in layers
    )


def added_scales(ours: Mapping[str, Tensor], gamma: Sequence[str]) -> tuple[Rule, ...]:
    """Rules for a class that always has learned scales, of which ``ours`` has none."""
    if has(ours, 'attn.gamma1.weight'):
        return ()
    layers = ('layers.*.attn.proj.weight', 'layers.*.ffn.layers.1.weight')
    return tuple(Rule((layer, scale), layer, _ONES) for layer, scale in zip(layers, gamma))


def unplaced(*names: str, why: str = 'their class has no such part') -> tuple[Rule, ...]:
    """Rules for what of ours has no place there, and is lost."""
    return tuple(Rule((), name, Change(why), loses=True) for name in names)


def refuse_unless_standard(ours: Mapping[str, Tensor], family: str, registers: bool = False) -> None:
    """Refuse what the plain transformers of the toolboxes do not compute.

    Args:
        ours: The backbone under our names, without prefix.
        family: Their name.
        registers: Whether they have registers.

    Raises:
        CheckpointError: Registers, or no learned positions of any kind.
    """
    if 'reg_token' in ours and not registers:
        raise CheckpointError(f'The backbone has registers, for which {family} has no place; use ours inside it.')
    if 'pos_embed' not in ours and not has(ours, TABLE):
        raise CheckpointError(
            f'The backbone has no learned positions, without which {family} has no class for it; use ours inside it.'
        )
