"""Evaluation on frozen features: a labelled bank, test images, and metrics that compare them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import DataLoader

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.baselines import Standardizer
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import evaluating, predict, predict_batch, stack_samples
from mim_plugin.evaluation.gather import drop_repeats
from mim_plugin.evaluation.metrics import FIELDS, FrozenFeatureMetric
from mim_plugin.models.algorithms.feature_extractor import FeatureExtractor


class FrozenFeatureProtocol:
    """Extracts the bank, then the test images, and asks the metrics.

    Use it as ``FrozenFeatureLoop`` (instead of validation or testing) or ``FrozenFeatureHook``
    (during training); :meth:`run` does the whole in one call.

    Args:
        evaluator: Metrics; those derived from :class:`FrozenFeatureMetric` get the bank, others see
            data samples with ``feature``.
        bank_dataloader: Labelled training images under the evaluation transform, not shuffled.
        extractor: Options of :meth:`FeatureExtractor.from_algorithm` for a pretraining algorithm, for
            example ``dict(network='student', num_blocks=4)``.
        baselines: Report thumbnails and the majority class beside the network.

    Raises:
        ConfigError: At once, if the bank is too small for a metric.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        bank_dataloader: DataLoader,
        extractor: dict[str, Any] | None = None,
        baselines: bool = True,
    ) -> None:
        self.evaluator = evaluator
        self.bank_dataloader = bank_dataloader
        self.extractor_options = dict(extractor or {})
        self.baselines = baselines
        self._metrics = [metric for metric in evaluator.metrics if isinstance(metric, FrozenFeatureMetric)]
        for metric in self._metrics:
            metric.check_bank_size(len(bank_dataloader.dataset))

    def run(self, model: nn.Module, dataloader: DataLoader | None = None) -> dict[str, float]:
        """All figures of a model.

        Args:
            model: An algorithm or a :class:`FeatureExtractor`.
            dataloader: Test images; None: those of the bank, each compared with the others, see
                :meth:`check_leave_one_out`.
        """
        with self.session(model):
            if dataloader is None:
                for metric in self._metrics:
                    metric.test_on_bank()
                return self.evaluator.evaluate(len(self.bank_dataloader.dataset))
            for batch in dataloader:
                self.process(batch)
            return self.evaluator.evaluate(len(dataloader.dataset))

    def check_leave_one_out(self) -> None:
        """ConfigError unless every metric can compare the images of the bank with each other."""
        for metric in self.evaluator.metrics:
            if not getattr(metric, 'leave_one_out', False):
                raise ConfigError(
                    f'There is no dataloader of test images, but {type(metric).__name__} does not leave one image out; '
                    "use evaluator=dict(type='KNNMetric', leave_one_out=True), or give a dataloader."
                )

    @contextmanager
    def session(self, model: nn.Module) -> Iterator[None]:
        """Within it the bank is ready and :meth:`process` takes test batches.

        The model's training flags and all random states are afterwards what they were: training with
        and without evaluation gives the same weights.
        """
        self._extractor = FeatureExtractor.from_algorithm(model, **self.extractor_options)
        self._numbers = count()
        with _random_states_kept(), evaluating(self._extractor):
            self._prepare_bank()
            yield
        del self._extractor

    def process(self, batch: Any) -> list[BaseDataElement]:
        """Extract one batch of test images and hand it to the metrics."""
        samples = predict_batch(self._extractor, batch, self._numbers, self.baselines)
        if self.baselines:
            scaled = self._standardizer(stack_samples(samples, 'thumbnail'))
            for sample, thumbnail in zip(samples, scaled.features, strict=True):
                sample.thumbnail = thumbnail
        self.evaluator.process(data_samples=samples, data_batch=batch)
        return samples

    def _prepare_bank(self) -> None:
        fields = list(FIELDS) if self.baselines else ['feature']
        parts: dict[str, list[FeatureSet]] = {field: [] for field in fields}
        for samples in predict(self._extractor, self.bank_dataloader, self.baselines):
            for field in fields:
                parts[field].append(stack_samples(samples, field))
        size = len(self.bank_dataloader.dataset)
        banks = {field: drop_repeats(FeatureSet.cat(parts.pop(field)), size).labelled() for field in fields}
        banks['feature'].require_finite('bank')
        if self.baselines:
            self._standardizer = Standardizer(banks['thumbnail'])
            banks['thumbnail'] = self._standardizer(banks['thumbnail'])
        device = next((parameter.device for parameter in self._extractor.parameters()), None)
        for metric in self._metrics:
            metric.set_bank(banks, device)


@contextmanager
def _random_states_kept() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
