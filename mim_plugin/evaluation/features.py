"""Features of a whole data set, extracted once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import DataLoader

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.baselines import thumbnail_features
from mim_plugin.evaluation.feature_set import UNLABELLED, FeatureSet
from mim_plugin.evaluation.gather import drop_repeats, gather_set
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor

# Seconds between two lines about the progress of a long extraction.
_REPORT_EVERY = 30.0


def extract_features(
    model: nn.Module,
    dataloader: DataLoader,
    device: torch.device | str | None = None,
    normalize: bool = False,
    **options: Any,
) -> FeatureSet:
    """Features of all images, on every process, in the order of the data set.

    Args:
        model: A :class:`FeatureExtractor` or an algorithm such as ``IBOT``, bare or wrapped; its
            ``data_preprocessor`` reads the batches. Its training flags are left as they were.
        dataloader: Gives ``dict(inputs=uint8 images, data_samples=[...])``, best not shuffled.
        device: Where to compute; default is where the model is.
        normalize: L2-normalise each row.
        **options: ``network``, ``num_blocks``, ``avgpool``, ``scales`` for an algorithm; see
            :meth:`FeatureExtractor.from_algorithm`.

    Returns:
        A :class:`FeatureSet`; each image once, also where the sampler repeats some.

    Raises:
        ConfigError: If the samples have no ``sample_idx`` and several processes share the work.
        DataError: If no image comes out, or a feature is not finite.
    """
    if device is not None:
        model.to(device)
    extractor = FeatureExtractor.from_algorithm(model, **options)
    parts = []
    with evaluating(extractor):
        for samples in predict(extractor, dataloader):
            parts.append(stack_samples(samples))
    whole = gather_set(drop_repeats(FeatureSet.cat(parts), len(dataloader.dataset)))
    whole.require_finite('evaluated')
    if normalize:
        return FeatureSet(F.normalize(whole.features, dim=1), whole.labels, whole.indices)
    return whole


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each module trains again, or not, as before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def predict(
    extractor: FeatureExtractor, dataloader: DataLoader, thumbnails: bool = False
) -> Iterator[list[BaseDataElement]]:
    """The data samples of each batch with ``feature``, and on request ``thumbnail``, set.

    Args:
        extractor: In evaluation mode.
        dataloader: Batches of images.
        thumbnails: Also keep the raw pixels at 16 x 16.
    """
    numbers = count()
    started = reported = time.monotonic()
    for i, batch in enumerate(dataloader):
        yield predict_batch(extractor, batch, numbers, thumbnails)
        if time.monotonic() - reported > _REPORT_EVERY:
            reported = time.monotonic()
            print_log(f'Features: batch {i + 1} of {len(dataloader)}, {reported - started:.0f} s', logger='current')


def predict_batch(
    extractor: FeatureExtractor, batch: Mapping[str, Any], numbers: Iterator[int], thumbnails: bool = False
) -> list[BaseDataElement]:
    """The data samples of one batch, see :func:`predict`.

    Args:
        extractor: In evaluation mode.
        batch: What the dataloader gave.
        numbers: Gives samples without ``sample_idx`` their number (one process only).
        thumbnails: Also keep the raw pixels at 16 x 16.
    """
    data = extractor.data_preprocessor(batch, False)
    samples = extractor(data['inputs'], data.get('data_samples'), mode='predict')
    for sample in samples:
        if 'sample_idx' not in sample:
            if get_world_size() > 1:
                raise ConfigError(
                    'The data samples have no sample_idx, so that repeated images cannot be told apart; '
                    "keep 'sample_idx' in the last transform of the evaluation pipeline."
                )
            sample.sample_idx = next(numbers)
    if thumbnails:
        for sample, thumbnail in zip(samples, thumbnail_features(batch['inputs']), strict=True):
            sample.thumbnail = thumbnail
    return samples


def stack_samples(samples: Sequence[BaseDataElement | dict], field: str = 'feature') -> FeatureSet:
    """Rows from data samples (or their dicts): a vector field, ``gt_label`` and ``sample_idx``."""
    labels = [_label(sample.get('gt_label')) for sample in samples]
    return FeatureSet(
        torch.stack([sample.get(field) for sample in samples]).cpu(),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor([int(sample.get('sample_idx')) for sample in samples], dtype=torch.int64),
    )


def _label(value: Any) -> int:
    if value is None:
        return UNLABELLED
    label = torch.as_tensor(value).flatten()
    if len(label) != 1:
        raise ConfigError(
            f'gt_label holds {len(label)} values, evaluation on frozen features needs one class an image.'
        )
    return int(label)
