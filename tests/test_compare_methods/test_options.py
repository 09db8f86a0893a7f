from pathlib import Path

import pytest

from mim_plugin.apis.compare_methods import CompareOptions
from mim_plugin.apis.compare_methods.options import ARMS, LEARNING_RATES, Setting
from mim_plugin.errors import ConfigError


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(arms=('ibot', 'simclr')), r"\['simclr'\] is no arm; use random, pixels"),
        (dict(arms=()), 'nothing is no arm'),
        (dict(minutes=0), 'leaves no time'),
        (dict(seeds=0), '--seeds 0 trains nothing'),
        (dict(image_size=80), 'multiple of 32'),
        (dict(device='tpu'), "give 'cpu' or 'cuda'"),
    ],
)
def test_a_value_that_cannot_work_is_one_clear_message(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        CompareOptions(Path('images'), **changes)


def test_the_time_is_divided_equally_and_wholly():
    options = CompareOptions(Path('images'), minutes=40)
    assert len(options.trained) == len(ARMS) - 1
    setting = options.setting
    assert setting.seconds * len(options.trained) == pytest.approx(40 * 60)
    assert setting.trial_seconds * len(LEARNING_RATES) + setting.final_seconds == pytest.approx(setting.seconds)


def test_settings_are_told_apart_by_their_labels():
    assert Setting(64, 480.0).label == '64 px, 8 min'
    assert Setting(96, 0.0, {'model.head.out_dim': 64}).label == '96 px, model.head.out_dim=64'
