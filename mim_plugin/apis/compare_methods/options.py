"""The arms of the comparison, what a user can choose, and how the time is divided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mim_plugin.apis.long_commands.options import check_device, check_names
from mim_plugin.errors import ConfigError

__all__ = ['ARMS', 'LEARNING_RATES', 'Arm', 'CompareOptions', 'Setting']

LEARNING_RATES = (1e-3, 2e-3, 4e-3)
TUNING_SHARE = 1 / 3  # of an arm's time
TOKENIZER_SHARE = 1 / 4  # of the time of a training whose tokenizer is trained too
IMAGE_SIZE = 64  # of the configs
PATCH_SIZE = 16


@dataclass(frozen=True)
class Arm:
    """One method.

    Attributes:
        title: Name for people.
        config: File in ``configs/compare``, None for a network that is not trained.
        pooling: What its figure is read from, fixed in advance: 'cls' where [CLS] is trained, else 'patches',
            the mean of the patch tokens.
        network: 'teacher' or 'student', whose features count.
        tokenizer: 'dvae' or 'kmeans' if a tokenizer is made from the images first.
    """

    title: str
    config: str | None
    pooling: str = 'patches'
    network: str = 'student'
    tokenizer: str | None = None


ARMS = {
    'random': Arm('random initialisation', None),
    'pixels': Arm('pixel regression', 'pixels_vit-mini-p16.py'),
    'beit-dvae': Arm('BEiT, own dVAE', 'beit-dvae_vit-mini-p16.py', tokenizer='dvae'),
    'beit-features': Arm('BEiT, feature codes', 'beit-kmeans_vit-mini-p16.py', tokenizer='kmeans'),
    'dino': Arm('DINO', 'dino_vit-mini-p16.py', 'cls', 'teacher'),
    'ibot': Arm('iBOT', 'ibot_vit-mini-p16.py', 'cls', 'teacher'),
}


@dataclass(frozen=True)
class Setting:
    """What rows of one table may differ in besides the method.

    Attributes:
        image_size: Side of a training crop and of an evaluated image in pixels.
        seconds: Wall time of an arm: the trials of lr and one training; 0 for a network that is not trained.
        changes: Overrides of the configs with dotted keys.
    """

    image_size: int
    seconds: float
    changes: Mapping[str, object] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For people."""
        changes = [f'{key}={value}' for key, value in sorted(self.changes.items())]
        time = [f'{self.seconds / 60:.3g} min'] if self.seconds else []
        return ', '.join([f'{self.image_size} px', *time, *changes])

    @property
    def trial_seconds(self) -> float:
        """Wall time of the training with one of the learning rates to choose from."""
        return self.seconds * TUNING_SHARE / len(LEARNING_RATES)

    @property
    def final_seconds(self) -> float:
        """Wall time of a training with the chosen lr, its tokenizer's included."""
        return self.seconds * (1 - TUNING_SHARE)


@dataclass(frozen=True)
class CompareOptions:
    """Options of one call; a work folder may see several.

    Attributes:
        data: Folder with ``train/CLASS/*`` and ``val/CLASS/*``.
        work_dir: Everything that is written is inside; finished parts found there are not repeated.
        arms: Names from :data:`ARMS`.
        minutes: Time of training of all arms together for one seed, the trials of lr included. It is divided
            equally between the arms that train. Every further seed takes two thirds of it again.
        seeds: Number of trainings with the chosen lr.
        image_size: Side of the crops in pixels.
        device: ``cpu``, ``cuda``, or None for what the machine has.
        cfg_options: Overrides of the training configs with dotted keys, such as ``{'model.head.out_dim': 4096}``.
    """

    data: Path
    work_dir: Path = Path('work_dirs/compare_methods')
    arms: tuple[str, ...] = tuple(ARMS)
    minutes: float = 40.0
    seeds: int = 1
    image_size: int = IMAGE_SIZE
    device: str | None = None
    cfg_options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what can be checked without touching data.

        Raises:
            ConfigError: If a value cannot work.
        """
        check_names('arms', self.arms, ARMS)
        if not self.minutes > 0:
            raise ConfigError(f'--minutes {self.minutes} leaves no time to train: give more than 0.')
        if self.seeds < 1:
            raise ConfigError(f'--seeds {self.seeds} trains nothing: give 1 or more.')
        if self.image_size < 2 * PATCH_SIZE or self.image_size % (2 * PATCH_SIZE):
            raise ConfigError(
                f'--image-size {self.image_size} does not fit: local crops are half as large and must divide into '
                f'patches of {PATCH_SIZE} pixels, so give a multiple of {2 * PATCH_SIZE}.'
            )
        check_device(self.device)

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The arms that take time."""
        return tuple(name for name in self.arms if ARMS[name].config)

    @property
    def setting(self) -> Setting:
        """What all rows of this call share."""
        seconds = self.minutes * 60 / max(1, len(self.trained))
        return Setting(self.image_size, round(seconds, 1), dict(self.cfg_options))

    @property
    def plan(self) -> str:
        """How the time is divided, for people."""
        if not self.trained:
            return 'Nothing is trained'
        setting, rates = self.setting, ', '.join(f'{lr:g}' for lr in LEARNING_RATES)
        return (
            f'{len(self.trained)} arms, {setting.label} each: trials of {setting.trial_seconds:.3g} s with lr {rates}, '
            f'then {self.seeds} x {setting.final_seconds:.3g} s'
        )
