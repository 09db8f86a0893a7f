"""What every test starts from."""

import functools
import os

# Tests run on the CPU, the same everywhere. MIM_TEST_GPU=1 is for those marked `gpu`.
if not os.environ.get('MIM_TEST_GPU'):
    os.environ['CUDA_VISIBLE_DEVICES'] = ''

import pytest
import yapf.yapflib.yapf_api
from mmengine.config import utils
from mmengine.registry import DefaultScope
from mmengine.runner import runner

from tests.fresh_python import FreshPython


@pytest.fixture(autouse=True)
def fresh_default_scope():
    """Forget the scope that the Runner of another test left behind."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session', autouse=True)
def quick_runner():
    """Leave out what takes longest before a run.

    That is reading the lists of all models of a toolbox for each of its configs that is inherited, laying out the text
    of a config, and asking for compilers.
    """
    load = utils.load
    read = functools.cache(lambda path, changed: load(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, 'load', lambda path: read(path, os.stat(path).st_mtime_ns))
        patch.setattr(yapf.yapflib.yapf_api, 'FormatCode', lambda text, **_: (text, False))
        patch.setattr(runner, 'collect_env', functools.cache(runner.collect_env))
        yield


@pytest.fixture(scope='session')
def fresh_python():
    """Run a program as a new interpreter does; see :class:`FreshPython`."""
    fresh = FreshPython()
    yield fresh
    fresh.close()
