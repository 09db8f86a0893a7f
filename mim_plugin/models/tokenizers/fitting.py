"""Fitting k-means codes to feature vectors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from mim_plugin.errors import ConfigError, DataError
from mim_plugin.models.tokenizers.kmeans import argmax_scores

__all__ = ['Codes', 'fit_centroids', 'fit_normalisation', 'mean_of_codes']

# A code that fewer rows have than this share of an even split is taken from its place.
RARE = 0.05
ROUNDS = 3
# Below this share of the largest eigenvalue directions are noise, which whitening must not blow up.
EIGENVALUE_FLOOR = 1e-5
# Spreading the first centroids (k-means++) takes K * K * C steps; beyond this they are random rows.
MAX_SPREAD_START = 2**26


@dataclass
class Codes:
    """Fitted codes.

    Attributes:
        centroids: ``(K, C)``.
        ids: The code of each row, ``(N,)``.
        counts: Rows of each code, ``(K,)``.
        error: Mean square distance to the centroid, by that to the mean of all rows: 0 to 1.
        reseeded: How many codes were moved because hardly a row had them.
    """

    centroids: Tensor
    ids: Tensor
    counts: Tensor
    error: float
    reseeded: int


def fit_normalisation(rows: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Mean ``(C,)`` and transform ``(C,)`` or ``(C, C)`` of :class:`KMeansTokenizer` for rows ``(N, C)``."""
    if kind == 'none':
        return rows.new_zeros(rows.shape[1]), rows.new_ones(rows.shape[1])
    mean = rows.mean(0)
    if kind == 'standardise':
        return mean, 1 / rows.std(0, correction=0).clamp(min=1e-6)
    if kind != 'whiten':
        raise ConfigError(f"normalise={kind!r} is unknown; use 'none', 'standardise' or 'whiten'.")
    values, vectors = torch.linalg.eigh(torch.cov(rows.T.double(), correction=0).reshape(rows.shape[1], -1))
    scale = values.clamp(min=values[-1] * EIGENVALUE_FLOOR).rsqrt()
    return mean, ((vectors * scale) @ vectors.T).to(rows.dtype)


def fit_centroids(rows: Tensor, num_codes: int, seed: int = 0) -> Codes:
    """k-means with scikit-learn's ``MiniBatchKMeans``, then dead and rare codes are put to use.

    A code that hardly a row has is moved to a row, drawn with a probability proportional to the square
    distance from its centroid, and two full k-means steps follow; this up to three times.

    Args:
        rows: Normalised feature vectors ``(N, C)``.
        num_codes: Number K of codes.
        seed: Of everything random.

    Returns:
        The codes.

    Raises:
        DataError: Fewer rows than codes.
    """
    if len(rows) < num_codes:
        raise DataError(
            f'{len(rows)} patches are too few for {num_codes} codes; give more images, or at most '
            f'--num-codes {len(rows)}.'
        )
    generator = torch.Generator().manual_seed(seed)
    centroids, reseeded = _mini_batch_kmeans(rows, num_codes, seed), 0
    for _ in range(ROUNDS):
        ids, distances = _assign(rows, centroids)
        counts = ids.bincount(minlength=num_codes)
        rare = (counts < max(1, RARE * len(rows) / num_codes)).nonzero().squeeze(1)
        chances = distances.cpu()
        if not len(rare) or not (chances > 0).sum() >= len(rare):
            break
        # multinomial() takes at most 2 ** 24 rows, which is more than are ever collected.
        centroids[rare] = rows[torch.multinomial(chances, len(rare), generator=generator).to(rows.device)]
        reseeded += len(rare)
        for _ in range(2):
            ids, _ = _assign(rows, centroids)
            centroids = mean_of_codes(rows, ids, centroids)
    ids, distances = _assign(rows, centroids)
    spread = (rows - rows.mean(0)).square().sum(1).mean().clamp(min=1e-12)
    return Codes(
        centroids, ids, ids.bincount(minlength=num_codes), float(distances.double().mean() / spread), reseeded
    )  # fmt: skip


def mean_of_codes(rows: Tensor, ids: Tensor, empty: Tensor) -> Tensor:
    """Mean of the rows ``(N, C)`` of each code; codes without rows take theirs from ``empty (K, C)``."""
    sums = torch.zeros_like(empty, dtype=torch.float32)
    for chunk, codes in zip(rows.split(2**15), ids.split(2**15)):
        sums.index_add_(0, codes, chunk.float())
    counts = ids.bincount(minlength=len(empty)).unsqueeze(1)
    return torch.where(counts > 0, sums / counts.clamp(min=1), empty)


def _mini_batch_kmeans(rows: Tensor, num_codes: int, seed: int) -> Tensor:
    try:
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning
    except ImportError as error:
        raise ConfigError('Fitting codes needs scikit-learn; run `pip install scikit-learn`.') from error

    spread = num_codes**2 * rows.shape[1] <= MAX_SPREAD_START
    kmeans = MiniBatchKMeans(
        num_codes, init='k-means++' if spread else 'random', init_size=min(len(rows), max(2048, 3 * num_codes)),
        batch_size=max(4096, 2 * num_codes), max_iter=50, n_init=1, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        # Equal rows make fewer clusters than asked for; the report tells how many codes are used.
        warnings.simplefilter('ignore', ConvergenceWarning)
        kmeans.fit(rows.cpu().numpy())
    return torch.from_numpy(kmeans.cluster_centers_).to(rows)


def _assign(rows: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest centroid ``(N,)`` and square distance ``(N,)`` of each row."""
    ids = argmax_scores(rows, centroids, -centroids.square().sum(1) / 2)
    parts = zip(rows.split(2**15), ids.split(2**15))
    return ids, torch.cat([(chunk - centroids[codes]).square().sum(1) for chunk, codes in parts])
