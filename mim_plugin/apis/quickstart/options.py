"""What a user can choose, and what must stay the same when a run goes on."""

from dataclasses import asdict, dataclass
from pathlib import Path

from mim_plugin.apis.long_commands.options import SHIPPED, check_device, find_configs
from mim_plugin.errors import ConfigError

__all__ = ['METHOD_NAMES', 'QuickstartOptions']

METHOD_NAMES = {'ibot': 'iBOT', 'beit': 'BEiT'}
PRETRAIN_CONFIGS = {
    'ibot': 'ibot_vit-mini-p16_1xb64-12e_solar-cells.py',
    'beit': 'beit_vit-mini-p16_1xb64-40e_solar-cells.py',
}
SEGMENTATION_CONFIG = 'upernet_vit-mini-p16_1xb16-20e_scenes-128x128.py'


@dataclass(frozen=True)
class QuickstartOptions:
    """Options of one run.

    Attributes:
        work_dir: Everything that the run writes is inside.
        method: 'ibot' or 'beit'.
        data: A folder of the user, or None for the solar cells and the composed scenes.
        epochs: Epochs of pretraining, or None for the config's.
        device: ``cpu``, ``cuda``, or None for what the machine has.
        seed: Seed of everything random.
        from_scratch: Pretrain from random weights, not from the shipped checkpoint.
        checkpoint: File that pretraining goes on from.
        resume: Go on with the run in ``work_dir``.
        pretrain_config: Config of the pretraining.
        segmentation_config: Config of the segmentation.
    """

    work_dir: Path = Path('work_dirs/quickstart')
    method: str = 'beit'
    data: Path | None = None
    epochs: int | None = None
    device: str | None = None
    seed: int = 0
    from_scratch: bool = False
    checkpoint: Path = SHIPPED
    resume: bool = False
    pretrain_config: Path | None = None
    segmentation_config: Path | None = None

    def __post_init__(self) -> None:
        """Check values that can be checked without touching data.

        Raises:
            ConfigError: If a value cannot work.
        """
        if self.method not in PRETRAIN_CONFIGS:
            raise ConfigError(f'--method {self.method} is unknown: give one of {", ".join(PRETRAIN_CONFIGS)}.')
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f'--epochs {self.epochs} trains nothing: give 1 or more.')
        if self.seed < 0:
            raise ConfigError(f'--seed {self.seed} is negative: give 0 or more.')
        check_device(self.device)

    @property
    def configs(self) -> tuple[Path, Path]:
        """Config files of the pretraining and of the segmentation."""
        pretrain, segmentation = self.pretrain_config, self.segmentation_config
        if pretrain is None or segmentation is None:
            folder = find_configs('quickstart')
            pretrain = pretrain or folder / PRETRAIN_CONFIGS[self.method]
            segmentation = segmentation or folder / SEGMENTATION_CONFIG
        return Path(pretrain), Path(segmentation)

    def identity(self) -> dict[str, object]:
        """What a resumed run must share with the run it continues, as JSON values."""
        fields = asdict(self)
        return {
            'data': None if self.data is None else str(Path(self.data).expanduser().resolve()),
            **{name: fields[name] for name in ('method', 'epochs', 'seed', 'from_scratch')},
        }
