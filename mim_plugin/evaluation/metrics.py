"""Metrics of frozen features; a :class:`FrozenFeatureLoop` gives them the training images' features first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mim_plugin.errors import ConfigError, DataError, MIMError
from mim_plugin.evaluation.baselines import majority_baseline
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.features import stack_samples
from mim_plugin.evaluation.gather import drop_repeats, gather_rows, gather_set, shared_neighbors, total_rows
from mim_plugin.evaluation.knn import check_k, check_temperature, knn_scores
from mim_plugin.evaluation.logistic import build_classifier, logistic_regression
from mim_plugin.evaluation.report import format_figures
from mim_plugin.registry import METRICS

# Field of a data sample -> what its figures are called.
FIELDS = {'feature': '', 'thumbnail': 'thumbnail_'}


class FrozenFeatureMetric(BaseMetric):
    """Base of metrics that compare test images with a bank of labelled training images.

    The figures are the same for any number of processes, also where a sampler repeats images. If
    the bank comes with thumbnails, the same protocol on them is reported as ``thumbnail_*``, and the
    majority class as ``majority_*``.

    Args:
        num_classes: Number of classes; default is the data set's, else the largest label plus one.
        prefix: Prepended to the names of the figures.
    """

    def __init__(self, num_classes: int | None = None, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.num_classes = num_classes
        self.device: torch.device | None = None
        self._banks: dict[str, FeatureSet] = {}

    def check_bank_size(self, size: int) -> None:
        """ConfigError if the protocol cannot work with a bank of ``size`` images."""

    def set_bank(self, banks: Mapping[str, FeatureSet], device: torch.device | None = None) -> None:
        """Take this process's part of the bank.

        Args:
            banks: Labelled features by field, see :data:`FIELDS`; 'feature' is required.
            device: Where the metric may compute.

        Raises:
            DataError: If no process has a labelled image.
            ConfigError: See :meth:`check_bank_size`.
        """
        size = total_rows(banks['feature'])
        if size == 0:
            raise DataError('No image of bank_dataloader has a label (gt_label); use a data set with class folders.')
        self.check_bank_size(size)
        self._banks, self.device = dict(banks), device
        self.results.clear()  # of an evaluation that was interrupted

    def test_on_bank(self) -> None:
        """Let the images of the bank be the test images, too."""
        self.results.append(dict(self._banks))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the features of one batch.

        Args:
            data_batch: Unused.
            data_samples: With the fields of the bank, ``gt_label`` and ``sample_idx``.
        """
        if not self._banks:
            raise ConfigError(
                f'{type(self).__name__} has no training features to compare with; use it in a FrozenFeatureLoop.'
            )
        self.results.append({field: stack_samples(data_samples, field) for field in self._banks})

    def evaluate(self, size: int) -> dict[str, float]:
        """Figures over the test images of all processes, the same on each.

        Args:
            size: Number of test images, repetitions not counted.
        """
        results = self.results.copy()
        self.results.clear()
        outcome: list = [None]
        try:
            outcome = [self.compute_metrics(results, size)]
        except MIMError as error:
            outcome = [error]
        # The main process may fail where others have nothing to do: then all stop.
        broadcast_object_list(outcome)
        if isinstance(outcome[0], MIMError):
            raise outcome[0]
        print_log(f'{type(self).__name__}, in percent:\n{format_figures(outcome[0])}', logger='current')
        return {f'{self.prefix}/{key}' if self.prefix else key: value for key, value in outcome[0].items()}

    def compute_metrics(self, results: list[dict[str, FeatureSet]], size: int) -> dict[str, float]:
        """Figures from the kept batches of all processes, see :meth:`evaluate`."""
        figures: dict[str, float] = {}
        for field, bank in self._banks.items():
            part = FeatureSet.cat([bank.take(slice(0)), *(result[field] for result in results)])
            test = gather_set(drop_repeats(part, size)).labelled()
            if len(test) == 0:
                raise DataError('No test image has a label (gt_label); use a data set with class folders.')
            test.require_finite('test')
            figures |= {FIELDS[field] + key: value for key, value in self.score(bank, test).items()}
        if 'thumbnail' in self._banks:
            labels = torch.cat(gather_rows(bank.labels))
            figures |= {f'majority_{key}': value for key, value in majority_baseline(labels, test.labels).items()}
        return figures

    @abstractmethod
    def score(self, bank: FeatureSet, test: FeatureSet) -> dict[str, float]:
        """Figures of one kind of feature; called on every process, the main one's result counts.

        Args:
            bank: This process's part of the labelled training images.
            test: All labelled test images.
        """

    def count_classes(self, bank: FeatureSet, test: FeatureSet) -> int:
        """C, checked against the labels."""
        largest = int(torch.cat([*gather_rows(bank.labels), test.labels]).max())
        named = (self.dataset_meta or {}).get('classes')
        number = self.num_classes or (len(named) if named else largest + 1)
        if largest >= number:
            raise ConfigError(
                f'A label is {largest}, but there are {number} classes; correct num_classes or the labels.'
            )
        return number


@METRICS.register_module()
class KNNMetric(FrozenFeatureMetric):
    """Weighted k-nearest-neighbour classification of frozen features.

    Figures, in percent: ``top1_k{k}``; ``top5_k{k}`` with five classes or more; ``auc_k{k}`` with two.

    Args:
        k: Numbers of neighbours, none above the number of labelled training images.
        temperature: Of the vote weights ``exp(similarity / temperature)``.
        leave_one_out: The test images are those of the bank, with the same ``sample_idx``; none is a neighbour of
            its own. For labelled images that are too few to be divided.
        num_classes: See :class:`FrozenFeatureMetric`.
        prefix: See :class:`FrozenFeatureMetric`.

    Source: iBOT (arXiv 2111.07832), section 4.1; see :mod:`mim_plugin.evaluation.knn`.
    """

    default_prefix = 'knn'

    def __init__(
        self,
        k: int | Sequence[int] = (10, 20, 100, 200),
        temperature: float = 0.07,
        leave_one_out: bool = False,
        num_classes: int | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(num_classes, prefix)
        self.k = (k,) if isinstance(k, int) else tuple(k)
        self.temperature = temperature
        self.leave_one_out = leave_one_out
        check_temperature(temperature)

    def check_bank_size(self, size: int) -> None:
        """ConfigError if a ``k`` is above the number of training images."""
        check_k(self.k, size - self.leave_one_out)

    def score(self, bank: FeatureSet, test: FeatureSet) -> dict[str, float]:
        """See the class."""
        num_classes = self.count_classes(bank, test)
        exclude = test.indices if self.leave_one_out else None
        similarities, labels = shared_neighbors(bank, test.features, max(self.k), self.device, exclude)
        return knn_scores(similarities, labels, test.labels, self.k, self.temperature, num_classes)


@METRICS.register_module()
class LogisticRegressionMetric(FrozenFeatureMetric):
    """Logistic regression on frozen features, see :func:`logistic_regression`; needs scikit-learn.

    Args:
        labels_per_class: Rows of each class to train on; None for all.
        draws: How often they are drawn.
        seed: Of the draws.
        prefix: See :class:`FrozenFeatureMetric`.
        **classifier: ``scaling``, ``C``, ``max_iter``.

    Raises:
        ConfigError: At once, if scikit-learn is missing.
    """

    default_prefix = 'logistic'

    def __init__(
        self,
        labels_per_class: int | None = None,
        draws: int = 5,
        seed: int = 0,
        prefix: str | None = None,
        **classifier: Any,
    ) -> None:
        super().__init__(prefix=prefix)
        build_classifier(**classifier)
        self.options = {'labels_per_class': labels_per_class, 'draws': draws, 'seed': seed, **classifier}

    def score(self, bank: FeatureSet, test: FeatureSet) -> dict[str, float]:
        """See the class; the features of all processes are fitted on the main one."""
        bank = gather_set(bank)
        return logistic_regression(bank, test, **self.options) if is_main_process() else {}
