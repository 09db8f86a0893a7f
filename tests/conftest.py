"""What every test starts from."""

import pytest
from mmengine.registry import DefaultScope

from tests.fresh_python import FreshPython


@pytest.fixture(autouse=True)
def fresh_default_scope():
    """Forget the scope that the Runner of another test left behind."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def fresh_python():
    """Run a program as a new interpreter does; see :class:`FreshPython`."""
    fresh = FreshPython()
    yield fresh
    fresh.close()
