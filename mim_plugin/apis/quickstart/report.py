"""The closing tables."""

from collections.abc import Sequence

__all__ = ['feature_table', 'segmentation_table']


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append('  '.join(cells).rstrip())
    lines.insert(1, '-' * len(lines[0]))
    return lines


def feature_table(
    rows: Sequence[dict], title: str, counts: tuple[int, int], few: int, error: float | None
) -> list[str]:
    """Lines of the table of frozen features.

    Args:
        rows: Rows of ``features.py``.
        title: What is told apart.
        counts: Number of labelled training and of test images.
        few: Labels a class of the middle columns.
        error: One standard error of the ROC-AUC in percentage points, or None.

    Returns:
        The lines, with a title and a note.
    """
    binary = 'auc' in rows[0]['knn']
    figures = {**({'auc': 'ROC-AUC'} if binary else {'accuracy': 'accuracy'}), 'balanced': 'bal. acc.'}
    protocols = {'knn': 'k-NN', 'few': f'{few} labels', 'all': 'all labels'}
    header = ['', *(name for _ in protocols for name in figures.values())]
    body = [
        [row['name'], *(f'{row[protocol][figure]:.1f}' for protocol in protocols for figure in figures)] for row in rows
    ]
    lines = [f'Frozen features: {title} ({counts[0]} training and {counts[1]} test images), in percent']
    table = _columns(header, body)
    # The protocols stand above the first of their columns.
    width = len(table[0]) - sum(len(name) + 2 for name in header[1:])
    above = ' ' * (width + 2)
    for protocol in protocols.values():
        above += protocol.ljust(sum(len(name) + 2 for name in figures.values()))
    lines += [above.rstrip(), *table]
    note = f'k-NN: 20 neighbours. Labels: logistic regression; {few} labels of each class: mean of ten draws.'
    if error is not None:
        note += f' One standard error of a ROC-AUC is about {error:.1f} points.'
    return [*lines, note]


def segmentation_table(
    rows: Sequence[dict], names: Sequence[str], counts: tuple[int, int], composed: bool
) -> list[str]:
    """Lines of the table of the segmentation.

    Args:
        rows: Rows with ``mIoU`` and ``aAcc``.
        names: Class names.
        counts: Number of training and validation images.
        composed: Whether a program put the images together.

    Returns:
        The lines, with a title.
    """
    kind = 'composed scenes' if composed else 'images'
    classes = ', '.join(names) if len(names) <= 8 else f'{len(names)} classes'
    lines = [f'Segmentation of {counts[1]} {kind} (trained on {counts[0]}): {classes}; in percent']
    body = [[row['name'], f'{row["mIoU"]:.1f}', f'{row["aAcc"]:.1f}'] for row in rows]
    return lines + _columns(['', 'mIoU', 'pixels right'], body)
