"""The state file: which steps are done, and what they found."""

import json
import shutil
from pathlib import Path

from mim_plugin.apis.long_commands.parts import write_whole
from mim_plugin.apis.quickstart.options import QuickstartOptions
from mim_plugin.apis.run import find_last_checkpoint
from mim_plugin.errors import ConfigError

__all__ = ['RunState']

OWN_FOLDERS = ('data', 'pretrain', 'segmentation', 'pictures')


class RunState:
    """Results of finished steps, kept in ``work_dir/state.json``.

    Args:
        options: Options of the run. With ``resume`` the finished steps are read; without it what a finished
            quickstart left in the work folder is replaced.

    Raises:
        ConfigError: If there is nothing to resume, a resumed run asks for something else than the run it
            continues, a run in the work folder is unfinished, or the folder holds files that are not a
            quickstart's.
    """

    def __init__(self, options: QuickstartOptions) -> None:
        self.path = Path(options.work_dir) / 'state.json'
        self.identity = options.identity()
        self.steps: dict[str, dict] = {}
        if options.resume:
            if not self.path.is_file():
                raise ConfigError(f'--resume found no run in {options.work_dir}: leave --resume out to start one.')
            self._read()
        else:
            self._start_over()

    def _read(self) -> None:
        try:
            content = json.loads(self.path.read_text(encoding='utf-8'))
            earlier, self.steps = content['options'], content['steps']
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f'{self.path} is damaged ({error}): start again without --resume.') from error
        for name, value in self.identity.items():
            if earlier.get(name) != value:
                raise ConfigError(
                    f'--resume goes on with a run of {name}={earlier.get(name)}, but {name}={value} is asked for: '
                    f'give the same value, another --work-dir, or leave --resume out to start again.'
                )

    def _start_over(self) -> None:
        folder = self.path.parent
        if self.path.is_file():
            # Training that was stopped is never thrown away unasked.
            if find_last_checkpoint(folder / 'pretrain') and not (folder / 'summary.json').is_file():
                raise ConfigError(
                    f'{folder} holds an unfinished run: add --resume to go on with it, or remove the folder or give '
                    'another --work-dir to start anew.'
                )
            (folder / 'summary.json').unlink(missing_ok=True)
            for name in OWN_FOLDERS:
                shutil.rmtree(folder / name, ignore_errors=True)
        elif any((folder / name).exists() for name in OWN_FOLDERS):
            raise ConfigError(
                f'{folder} holds files of something else (no state.json beside them): give another --work-dir.'
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.save()

    def save(self) -> None:
        """Writes the file."""
        write_whole(self.path, {'options': self.identity, 'steps': self.steps})

    def finish(self, key: str, seconds: float, result: dict) -> None:
        """Records a finished step.

        Args:
            key: Name of the step.
            seconds: Wall time of this session's part of it.
            result: What later steps and the report need; JSON values.
        """
        self.steps[key] = {'seconds': round(seconds, 1), 'result': result}
        self.save()

    def result(self, key: str) -> dict:
        """What a finished step found; empty for a step that was skipped."""
        return self.steps.get(key, {}).get('result', {})
