"""Logistic regression on frozen features, with all labels or with a few."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.feature_set import FeatureSet
from mim_plugin.evaluation.scores import balanced_accuracy, roc_auc

SCALINGS = ('standard', 'l2', 'none')


def logistic_regression(
    train: FeatureSet,
    test: FeatureSet,
    labels_per_class: int | None = None,
    draws: int = 5,
    seed: int = 0,
    scaling: str = 'standard',
    C: float = 1.0,
    max_iter: int = 1000,
) -> dict[str, float]:
    """Multinomial logistic regression with an L2 penalty (scikit-learn, L-BFGS).

    Args:
        train: Labelled features.
        test: Labelled features of the test images.
        labels_per_class: Train on that many rows of each class, drawn anew ``draws`` times; None
            uses all rows once.
        draws: Number of draws.
        seed: Draw ``i`` depends on (seed, i) only, so that all feature sets meet the same images.
        scaling: 'standard' (mean 0 and deviation 1 of the rows trained on), 'l2' (rows of length 1)
            or 'none'.
        C: Inverse strength of the penalty.
        max_iter: Limit of solver iterations.

    Returns:
        ``accuracy`` and ``balanced_accuracy`` in percent, with two classes also ``auc`` (area under
        the ROC curve for class 1, in percent); with ``labels_per_class`` means over the draws, and the
        sample deviations as ``*_std``.

    Raises:
        ConfigError: If scikit-learn is missing, an option is out of range, or a class has too few rows.
    """
    train, test = train.labelled(), test.labelled()
    classes = train.labels.unique()
    if len(classes) < 2:
        raise ConfigError(f'Logistic regression needs two classes, the training images have {len(classes)}.')
    if labels_per_class is None:
        return _fit_and_score(train, test, scaling, C, max_iter)
    if labels_per_class < 1 or draws < 1:
        raise ConfigError(f'labels_per_class={labels_per_class} and draws={draws} must be 1 or more.')
    results = [
        _fit_and_score(train.take(draw_rows(train.labels, labels_per_class, (seed, i))), test, scaling, C, max_iter)
        for i in range(draws)
    ]
    scores = {}
    for key in results[0]:
        values = np.array([result[key] for result in results])
        scores[key] = float(values.mean())
        scores[f'{key}_std'] = float(values.std(ddof=1)) if draws > 1 else 0.0
    return scores


def draw_rows(labels: torch.Tensor, labels_per_class: int, seed: int | tuple[int, ...]) -> torch.Tensor:
    """Numbers of ``labels_per_class`` rows of each class, drawn without replacement.

    Args:
        labels: ``(N,)`` int64.
        labels_per_class: Rows of each class.
        seed: Any seed of numpy's ``default_rng``.

    Raises:
        ConfigError: If a class has fewer rows.
    """
    rng = np.random.default_rng(seed)
    chosen = []
    for label in labels.unique().tolist():
        rows = (labels == label).nonzero()[:, 0].numpy()
        if len(rows) < labels_per_class:
            raise ConfigError(
                f'labels_per_class={labels_per_class}, but class {label} has only {len(rows)} training images; '
                'ask for fewer labels.'
            )
        chosen.append(rng.choice(rows, labels_per_class, replace=False))
    return torch.from_numpy(np.concatenate(chosen))


def _fit_and_score(train: FeatureSet, test: FeatureSet, scaling: str, C: float, max_iter: int) -> dict[str, float]:
    model = build_classifier(scaling, C, max_iter).fit(train.features.numpy(), train.labels.numpy())
    predicted = torch.from_numpy(model.predict(test.features.numpy()))
    scores = {
        'accuracy': (predicted == test.labels).double().mean().item() * 100,
        'balanced_accuracy': balanced_accuracy(predicted, test.labels),
    }
    if len(model.classes_) == 2:
        decision = torch.from_numpy(model.decision_function(test.features.numpy()))
        scores['auc'] = roc_auc(decision, test.labels == int(model.classes_[1]))
    return scores


def build_classifier(scaling: str = 'standard', C: float = 1.0, max_iter: int = 1000) -> Any:
    """Scaling and regression as one scikit-learn estimator; see :func:`logistic_regression`."""
    if scaling not in SCALINGS:
        raise ConfigError(f'scaling={scaling!r} is unknown; use one of {SCALINGS}.')
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Normalizer, StandardScaler
    except ImportError as error:
        raise ConfigError(
            'Logistic regression needs scikit-learn; install it with "pip install scikit-learn".'
        ) from error
    steps = {'standard': [StandardScaler()], 'l2': [Normalizer()], 'none': []}[scaling]
    return make_pipeline(*steps, LogisticRegression(C=C, max_iter=max_iter))
