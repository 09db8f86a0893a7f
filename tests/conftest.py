"""What every test starts from."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def fresh_default_scope():
    """Forget the scope that the Runner of another test left behind."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
