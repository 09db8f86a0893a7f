"""What finished parts found, kept in a file from call to call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mim_plugin.apis.compare_methods.options import Setting
from mim_plugin.errors import ConfigError

__all__ = ['Results']


class Results:
    """Figures of finished parts in ``work_dir/results.json``; the file is whole at any moment.

    ``baselines`` holds what needs no network, ``rows`` a dict for each arm and setting: ``arm``,
    ``setting``, ``tokenizers`` (by seed), ``trials`` (by lr), ``epoch_seconds``, ``lr``, ``finals`` (by seed).

    Args:
        work_dir: The folder; results of an earlier call are read.
        data: The images, which must be those of the earlier call.

    Raises:
        ConfigError: The file is damaged, or belongs to other images.
    """

    def __init__(self, work_dir: Path, data: Path) -> None:
        self.path = Path(work_dir) / 'results.json'
        self.content: dict = {'data': str(data), 'rows': {}}
        if self.path.is_file():
            self._read(str(data))
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def _read(self, data: str) -> None:
        try:
            found = json.loads(self.path.read_text(encoding='utf-8'))
            earlier, _ = found['data'], found['rows']
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f'{self.path} is damaged ({error}): give another --work-dir, or remove it.') from error
        if earlier != data:
            raise ConfigError(
                f'{self.path} holds results on {earlier}, but --data is {data}: give another --work-dir, figures of '
                'different images do not belong in one table.'
            )
        self.content = found

    def save(self) -> None:
        """Write the file whole or not at all."""
        temporary = self.path.with_suffix('.json.part')
        temporary.write_text(json.dumps(self.content, indent=1), encoding='utf-8')
        os.replace(temporary, self.path)

    def row(self, arm: str, setting: Setting) -> dict:
        """The row of an arm under a setting, empty at first."""
        empty = {'arm': arm, 'setting': {**asdict(setting), 'label': setting.label}}
        empty |= {part: {} for part in ('tokenizers', 'trials', 'finals')}
        return self.content['rows'].setdefault(f'{arm}: {setting.label}', empty)

    def once(self, table: dict, key: str, work: Callable[[], dict]) -> dict:
        """``table[key]``, found by ``work`` and saved unless an earlier call did.

        Args:
            table: A part of a row.
            key: Place in it.
            work: Finds the JSON values.
        """
        if key not in table:
            table[key] = work()
            self.save()
        return table[key]

    @property
    def rows(self) -> list[dict]:
        """Rows with at least one finished training."""
        return [row for row in self.content['rows'].values() if row['finals']]
