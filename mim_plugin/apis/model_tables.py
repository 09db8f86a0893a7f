"""The tables of docs/model_zoo.md, which say what the metafiles say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mim_plugin.apis.models import recipes
from mim_plugin.errors import DataError

__all__ = ['fill_tables', 'table_of']

_HEADER = '| model | training | figures | weights |\n|---|---|---|---|\n'
_PLACE = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)', re.DOTALL)


def fill_tables(text: str) -> str:
    """Rewrite every table between ``<!-- table: FOLDER -->`` and ``<!-- end of table -->``.

    Args:
        text: The page, in Markdown.

    Returns:
        The page with the tables of the metafiles of ``configs/FOLDER``.

    Raises:
        DataError: The page has no place for the recipes of a folder, or for more than there are.
    """
    there = {path.parent.name for path in recipes()}
    places = [folder for _, folder, _ in _PLACE.findall(text)]
    if sorted(places) != sorted(there):
        raise DataError(f'The page has tables of {sorted(places)}, the metafiles are in {sorted(there)}; correct it.')
    return _PLACE.sub(lambda found: f'{found[1]}\n{table_of(found[2])}\n{found[3]}', text)


def table_of(folder: str) -> str:
    """The Markdown table of the recipes in ``configs/FOLDER``, in the order of its metafile."""
    rows = [_row(path, recipe) for path, recipe in recipes().items() if path.parent.name == folder]
    return _HEADER + ''.join(rows)


def _row(path: Path, recipe: dict[str, Any]) -> str:
    model = f'[{recipe["Name"]}](../configs/{path.parent.name}/{path.name})'
    return f'| {model} | {_training(recipe["Metadata"])} | {_figures(recipe)} | {_weights(recipe)} |\n'


def _training(metadata: dict[str, Any]) -> str:
    length = f'{metadata["Epochs"]} epochs' if 'Epochs' in metadata else f'{metadata["Iterations"]:,} iterations'
    data = f' of {metadata["Training Data"]}' if 'Training Data' in metadata else ''
    return f'{length}{data}, batch {metadata["Batch Size"]}'


def _figures(recipe: dict[str, Any]) -> str:
    figures = []
    for result in recipe.get('Results', []):
        metrics = ', '.join(f'{name} {value}' for name, value in result['Metrics'].items())
        figures.append(f'{result["Task"]}, {result["Dataset"]}: {metrics}')
    return f'{"; ".join(figures)} ({recipe["Results From"]})' if figures else ''


def _weights(recipe: dict[str, Any]) -> str:
    if 'Shipped Weights' in recipe:
        return f'[in this package](../mim_plugin/{recipe["Shipped Weights"]})'
    if 'Weights' not in recipe:
        return ''
    address = recipe['Weights']
    # iBOT's files all have the same name.
    parts = address.split('/')[-2:] if '/checkpoint' in address else address.split('/')[-1:]
    return f'[{"/".join(parts)}]({address})'
