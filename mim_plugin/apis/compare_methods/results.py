"""What finished parts found, kept in a file from call to call."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from mim_plugin.apis.compare_methods.options import Setting
from mim_plugin.apis.long_commands.parts import ResultFile

__all__ = ['Results']


class Results(ResultFile):
    """Figures of finished parts in ``work_dir/results.json``.

    ``baselines`` holds what needs no network, ``rows`` a dict for each arm and setting: ``arm``,
    ``setting``, ``tokenizers`` (by seed), ``trials`` (by lr), ``epoch_seconds``, ``lr``, ``finals`` (by seed).

    Args:
        work_dir: The folder; results of an earlier call are read.
        data: The images, which must be those of the earlier call.

    Raises:
        ConfigError: The file is damaged, or belongs to other images.
    """

    def __init__(self, work_dir: Path, data: Path) -> None:
        super().__init__(Path(work_dir) / 'results.json', {'data': str(data)})
        self.content.setdefault('rows', {})

    def row(self, arm: str, setting: Setting) -> dict:
        """The row of an arm under a setting, empty at first."""
        empty = {'arm': arm, 'setting': {**asdict(setting), 'label': setting.label}}
        empty |= {part: {} for part in ('tokenizers', 'trials', 'finals')}
        return self.content['rows'].setdefault(f'{arm}: {setting.label}', empty)

    @property
    def rows(self) -> list[dict]:
        """Rows with at least one finished training."""
        return [row for row in self.content['rows'].values() if row['finals']]
