"""Classes of data and model are compared before the first step."""

from types import SimpleNamespace

import pytest

from mim_plugin.engine.hooks import ClassCheckHook
from mim_plugin.errors import ConfigError, DataError


class Images:
    def __init__(self, folder, classes=None, labels=()):
        self.metainfo = {} if classes is None else {'classes': classes}
        self.data_prefix, self.labels = {'img_path': folder}, labels

    def __len__(self):
        return len(self.labels)

    def get_data_info(self, index):
        return {'gt_label': self.labels[index]}


def loop(images):
    return SimpleNamespace(dataloader=SimpleNamespace(dataset=images))


def check(train, val=None, head=None, preprocessor=None):
    model = SimpleNamespace(
        head=SimpleNamespace(num_classes=head), data_preprocessor=SimpleNamespace(num_classes=preprocessor)
    )
    runner = SimpleNamespace(model=model, train_loop=loop(train), val_loop=None if val is None else loop(val))
    ClassCheckHook().before_train(runner)


def test_what_agrees_passes():
    animals = ('cat', 'dog')
    check(Images('train', animals), Images('val', animals), head=2, preprocessor=2)
    check(Images('train', animals), head=3, preprocessor=3)  # an output to spare
    check(Images('train', labels=[0, 1]), Images('val', labels=[1]), head=2)
    check(Images('train', animals), Images('val', animals))  # not a classifier of mmpretrain


@pytest.mark.parametrize('numbers', [dict(head=1), dict(head=2, preprocessor=1)])
@pytest.mark.parametrize('images', [Images('my/train', ('cat', 'dog')), Images('my/train', labels=[0, 1])])
def test_more_classes_than_the_model_has(images, numbers):
    with pytest.raises(ConfigError, match=r'have 2 classes \(my/train\), the model has 1; set model.head.num_classes'):
        check(images, **numbers)


def test_folders_that_differ():
    with pytest.raises(DataError, match=r'such as cow \(train and val\); give both the same folders'):
        check(Images('train', ('cat', 'cow', 'dog')), Images('val', ('cat', 'dog')), head=3)
    with pytest.raises(ConfigError, match=r'labels of the validation images go up to 5 \(val\), the model has 2'):
        check(Images('train', labels=[0, 1]), Images('val', labels=[5]), head=2)
