"""Features spread over processes: gathered, searched where they are, no sample counted twice."""

from __future__ import annotations

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.knn import check_k, nearest_neighbors, sort_neighbors

# Queries whose neighbours are exchanged at once.
_EXCHANGE = 4096


def gather_rows(rows: Tensor) -> list[Tensor]:
    """The tensor of every process, in rank order; numbers of rows may differ."""
    if get_world_size() == 1:
        return [rows]
    sizes = [int(size) for size in all_gather(torch.tensor([len(rows)]))]
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows
    return [part[:size] for part, size in zip(all_gather(padded), sizes, strict=True)]


def total_rows(part: FeatureSet) -> int:
    """Rows of all processes together."""
    count = torch.tensor([len(part)])
    all_reduce(count)
    return int(count)


def drop_repeats(part: FeatureSet, size: int) -> FeatureSet:
    """This process's rows without samples that come earlier here or on a lower rank.

    Samplers fill the last round with samples seen before; over all processes each stays once.

    Args:
        part: This process's rows.
        size: Number of images of the data set.

    Raises:
        ConfigError: If different images share a number, as in a data set joined from several.
    """
    order = part.indices.argsort(stable=True)
    ordered = part.indices[order]
    fresh = torch.ones(len(part), dtype=torch.bool)
    fresh[order[1:]] = ordered[1:] != ordered[:-1]
    earlier = gather_rows(part.indices)[: get_rank()]
    if earlier:
        fresh &= ~torch.isin(part.indices, torch.cat(earlier))
    kept = part.take(fresh)
    if total_rows(kept) < size <= total_rows(part):
        raise ConfigError(
            f'The {size} images of the evaluation data set have only {total_rows(kept)} different sample_idx, so '
            'repeated images cannot be told apart; evaluate data sets one by one, or number their samples anew.'
        )
    return kept


def gather_set(part: FeatureSet) -> FeatureSet:
    """All rows on every process, in the order of the data set."""
    tables = (torch.cat(gather_rows(table)) for table in (part.features, part.labels, part.indices))
    whole = FeatureSet(*tables)
    return whole.take(whole.indices.argsort(stable=True))


def shared_neighbors(
    bank: FeatureSet,
    queries: Tensor,
    k: int,
    device: torch.device | str | None = None,
    exclude: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Nearest neighbours in a bank of which each process holds a part.

    Every process looks through its own part for all queries, then the finds are merged: the bank
    is never copied, and the work is divided.

    Args:
        bank: This process's part, no sample in two parts.
        queries: ``(Q, D)``, the same on every process.
        k: Neighbours, at most the rows of all parts together.
        device: Where to compute.
        exclude: ``(Q,)`` int64, for each query the number of an image of the bank that does not count: itself.

    Returns:
        Similarities ``(Q, k)``, descending, and labels ``(Q, k)``, the same on every process.
    """
    if exclude is not None:
        k += 1  # the query itself is found, too
    check_k([k], total_rows(bank))
    bank = bank.take(bank.indices.argsort(stable=True))
    values = torch.empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64)
    if len(bank):
        values, rows = nearest_neighbors(bank.features, queries, min(k, len(bank)), device=device)
    finds = []
    for start in range(0, len(queries), _EXCHANGE):
        part = slice(start, start + _EXCHANGE)
        tables = (values[part], bank.indices[rows[part]], bank.labels[rows[part]])
        # Exchanged neighbour by neighbour, for their number differs where a part is small.
        values_all, indices_all, labels_all = (torch.cat(gather_rows(table.T.contiguous())).T for table in tables)
        found = sort_neighbors(values_all, indices_all, k, labels_all)
        finds.append(found if exclude is None else _without(exclude[part], *found))
    similarities, _, labels = (torch.cat(parts) for parts in zip(*finds, strict=True))
    return similarities, labels


def _without(exclude: Tensor, similarities: Tensor, indices: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    """The neighbours in their order, one fewer: the excluded one, or the last where it was not found."""
    kept = (indices != exclude[:, None]).int().argsort(dim=1, descending=True, stable=True)[:, :-1]
    return similarities.gather(1, kept), indices.gather(1, kept), labels.gather(1, kept)
