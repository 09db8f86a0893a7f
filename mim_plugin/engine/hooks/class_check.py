"""Do images, labels and classifier agree on the classes?"""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugin.engine.unwrap import unwrap
from mim_plugin.errors import ConfigError, DataError
from mim_plugin.registry import HOOKS

__all__ = ['ClassCheckHook']


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Before training, compare the classes of the data with those of a classifier of mmpretrain.

    Without it a label too many ends in an assertion on the device, and a class whose folder is missing among
    the images of validation shifts all labels after it, silently.

    Raises:
        ConfigError: The data has more classes than the model.
        DataError: Training and validation have different classes.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Compare once; no image is read."""
        dataset = runner.train_loop.dataloader.dataset
        classes, count = _classes(dataset)
        limit = _classes_of_model(unwrap(runner.model))
        if limit is not None and count > limit:
            raise ConfigError(
                f'The training images have {count} classes ({_where(dataset)}), the model has {limit}; set '
                f'model.head.num_classes and data_preprocessor.num_classes to {count}.'
            )
        if runner.val_loop is None:
            return
        other = runner.val_loop.dataloader.dataset
        others, other_count = _classes(other)
        if classes is not None and others is not None:
            if differing := sorted(set(classes) ^ set(others)):
                raise DataError(
                    f'Training and validation have different classes, such as {differing[0]} ({_where(dataset)} and '
                    f'{_where(other)}); give both the same folders of classes.'
                )
        elif limit is not None and other_count > limit:
            raise ConfigError(
                f'The labels of the validation images go up to {other_count - 1} ({_where(other)}), the model has '
                f'{limit} classes; correct the list or set model.head.num_classes and data_preprocessor.num_classes.'
            )


def _classes(dataset: Any) -> tuple[tuple[str, ...] | None, int]:
    """Names of the classes, if the data set knows them, and their number."""
    classes = dataset.metainfo.get('classes')
    if classes is not None:
        return tuple(classes), len(classes)
    return None, 1 + max(dataset.get_data_info(i)['gt_label'] for i in range(len(dataset)))


def _classes_of_model(model: Any) -> int | None:
    numbers = [getattr(getattr(model, part, None), 'num_classes', None) for part in ('head', 'data_preprocessor')]
    return min((number for number in numbers if number is not None), default=None)


def _where(dataset: Any) -> str:
    return getattr(dataset, 'ann_file', '') or dataset.data_prefix.get('img_path') or dataset.data_root
