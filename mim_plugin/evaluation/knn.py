"""Weighted k-nearest-neighbour classification, exact and in bounded memory.

Source: the k-NN protocol of DINO (arXiv 2104.14294) that iBOT (arXiv 2111.07832) follows:
cosine similarity, vote weight ``exp(similarity / temperature)``, temperature 0.07, the best of
10, 20, 100 and 200 neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.scores import roc_auc, top_k_accuracy

# Elements of the largest intermediate table of votes (float64).
_MAX_VOTES = 2**24


def nearest_neighbors(
    bank: Tensor,
    queries: Tensor,
    k: int,
    chunk_size: int = 512,
    bank_chunk_size: int = 32768,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """The ``k`` rows of ``bank`` with the largest cosine to each query.

    Rows are L2-normalised here. At most ``chunk_size * bank_chunk_size`` similarities exist at a time.
    Of equally similar rows the one with the lower number comes first, whatever the chunks.

    Args:
        bank: ``(N, D)``, on any device.
        queries: ``(Q, D)``, any number of rows.
        k: Neighbours, at most N.
        chunk_size: Queries compared at once.
        bank_chunk_size: Bank rows compared at once.
        device: Where to compute; default is the bank's.

    Returns:
        Similarities ``(Q, k)`` float32, descending, and bank rows ``(Q, k)`` int64, on the CPU.

    Raises:
        ConfigError: If the bank has fewer than ``k`` rows.
    """
    check_k([k], len(bank))
    device = torch.device(device) if device is not None else bank.device
    starts = range(0, len(queries), chunk_size)
    best = [(torch.empty(0), torch.empty(0, dtype=torch.int64))] * len(starts)
    for offset in range(0, len(bank), bank_chunk_size):
        part = F.normalize(bank[offset : offset + bank_chunk_size].to(device).float(), dim=1)
        for i, start in enumerate(starts):
            chunk = F.normalize(queries[start : start + chunk_size].to(device).float(), dim=1)
            values, columns = _largest(chunk @ part.T, min(k, len(part)))
            values, rows = values.cpu(), columns.cpu() + offset
            if offset:
                values, rows = torch.cat([best[i][0], values], 1), torch.cat([best[i][1], rows], 1)
            best[i] = sort_neighbors(values, rows, k)
    if not best:
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.int64)
    values, rows = (torch.cat(parts) for parts in zip(*best, strict=True))
    return values, rows


def sort_neighbors(similarities: Tensor, rows: Tensor, k: int, *others: Tensor) -> tuple[Tensor, ...]:
    """The first ``k`` neighbours by falling similarity, then by rising row number.

    Args:
        similarities: ``(Q, n)``.
        rows: ``(Q, n)`` int64.
        k: How many are kept.
        *others: More ``(Q, n)`` tensors to bring into the same order.
    """
    by_row = rows.argsort(dim=1)
    order = similarities.gather(1, by_row).argsort(dim=1, descending=True, stable=True)[:, :k]
    order = by_row.gather(1, order)
    return tuple(table.gather(1, order) for table in (similarities, rows, *others))


def _largest(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """topk, but of equal values at the border the lowest columns are taken (torch takes any)."""
    values, columns = similarities.topk(k, dim=1)
    limit = values[:, -1:]
    tied = ((similarities >= limit).sum(1) > k).nonzero()[:, 0]
    if len(tied):
        block, limit = similarities[tied], limit[tied]
        above, equal = block > limit, block == limit
        room = k - above.sum(1, keepdim=True)
        chosen = above | (equal & (equal.cumsum(1) <= room))
        columns[tied] = chosen.nonzero()[:, 1].view(-1, k)
        values[tied] = block.gather(1, columns[tied])
    return values, columns


def weighted_votes(similarities: Tensor, labels: Tensor, temperature: float, num_classes: int) -> Tensor:
    """Summed vote ``exp(similarity / temperature)`` of the neighbours for each class.

    Args:
        similarities: ``(Q, k)``.
        labels: Class of each neighbour, ``(Q, k)`` int64.
        temperature: Positive; small values trust the nearest.
        num_classes: C.

    Returns:
        ``(Q, C)`` float64: exp(1 / 0.005) does not fit into float32.
    """
    weights = (similarities.double() / temperature).exp()
    return weights.new_zeros(len(weights), num_classes).scatter_add_(1, labels, weights)


def knn_votes(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    k: int,
    temperature: float = 0.07,
    num_classes: int | None = None,
    chunk_size: int = 512,
) -> Tensor:
    """Votes ``(Q, C)`` float64 of the ``k`` nearest training rows for each test row.

    Args:
        train_features: ``(N, D)``.
        train_labels: ``(N,)`` int64 in [0, C).
        test_features: ``(Q, D)``.
        k: Neighbours, at most N.
        temperature: Of the vote weights.
        num_classes: C; default is the largest training label plus one.
        chunk_size: Test rows compared at once.
    """
    check_temperature(temperature)
    num_classes = num_classes or int(train_labels.max()) + 1
    similarities, rows = nearest_neighbors(train_features, test_features, k, chunk_size)
    return weighted_votes(similarities, train_labels.cpu()[rows], temperature, num_classes)


def knn_scores(
    similarities: Tensor,
    neighbor_labels: Tensor,
    test_labels: Tensor,
    k: Sequence[int],
    temperature: float,
    num_classes: int,
) -> dict[str, float]:
    """Accuracies from neighbours that were found once for the largest ``k``.

    Args:
        similarities: ``(Q, max k)``, descending.
        neighbor_labels: ``(Q, max k)`` int64.
        test_labels: ``(Q,)`` int64.
        k: Numbers of neighbours to report.
        temperature: Of the vote weights.
        num_classes: C.

    Returns:
        ``top1_k{k}`` in percent; with five classes or more ``top5_k{k}``; with two classes
        ``auc_k{k}``, the area under the ROC curve of the vote share of class 1, in percent.
    """
    rows = max(1, _MAX_VOTES // num_classes)
    scores = {}
    for count in k:
        correct = dict.fromkeys([1, 5] if num_classes >= 5 else [1], 0.0)
        shares = []
        for start in range(0, len(test_labels), rows):
            part = slice(start, start + rows)
            votes = weighted_votes(similarities[part, :count], neighbor_labels[part, :count], temperature, num_classes)
            for top in correct:
                correct[top] += top_k_accuracy(votes, test_labels[part], top) * len(votes) / len(test_labels)
            if num_classes == 2:
                shares.append(votes[:, 1] / votes.sum(1))
        scores |= {f'top{top}_k{count}': value for top, value in correct.items()}
        if num_classes == 2:
            scores[f'auc_k{count}'] = roc_auc(torch.cat(shares), test_labels)
    return scores


def knn_accuracy(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    k: Sequence[int] = (10, 20, 100, 200),
    temperature: float = 0.07,
    num_classes: int | None = None,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """k-NN in one call, in one process; see :func:`knn_scores` for the keys.

    Args:
        train_features: ``(N, D)``.
        train_labels: ``(N,)`` int64.
        test_features: ``(Q, D)``.
        test_labels: ``(Q,)`` int64.
        k: Numbers of neighbours, each at most N.
        temperature: Of the vote weights.
        num_classes: C; default is the largest label plus one.
        device: Where the similarities are computed; default is the features'.
    """
    check_k(k, len(train_labels))
    check_temperature(temperature)
    train_labels, test_labels = train_labels.cpu(), test_labels.cpu()
    num_classes = num_classes or int(torch.cat([train_labels, test_labels]).max()) + 1
    similarities, rows = nearest_neighbors(train_features, test_features, max(k), device=device)
    return knn_scores(similarities, train_labels[rows], test_labels, k, temperature, num_classes)


def check_k(k: Sequence[int], bank_size: int) -> None:
    """ConfigError unless every ``k`` is at least 1 and at most the number of bank rows."""
    if not k or min(k) < 1:
        raise ConfigError(f'k={list(k)} must name at least one number of neighbours, each 1 or more.')
    if max(k) > bank_size:
        raise ConfigError(
            f'k={max(k)} asks for more neighbours than the bank of {bank_size} labelled images holds; '
            f'give k values up to {bank_size}, or more training images.'
        )


def check_temperature(temperature: float) -> None:
    """ConfigError unless ``exp(1 / temperature)`` is a finite float64."""
    if not (temperature > 0 and math.isfinite(temperature) and 1 / temperature < 600):
        raise ConfigError(
            f'temperature={temperature} of the k-NN votes must be above 1/600; the published value is 0.07.'
        )
