"""Tables that fit the terminal: fixed columns of numbers and names, and wrapping text columns."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence

_NARROWEST = 26  # characters: narrower text is hard to read
_GAP = 2
_INDENT = 4


def table(
    head: Sequence[str],
    body: Iterable[Sequence[str]],
    numbers: Sequence[str] = (),
    texts: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """Format a table; a row takes several lines if its texts wrap.

    Args:
        head: Titles of the columns.
        body: Rows of cells.
        numbers: Titles of right-aligned columns.
        texts: Titles of the last columns, most important first. Those that fit are shown and
            wrapped; if none fits, the first one is written below its row.
        width: Characters per line; by default the terminal's. If the other columns do not fit, the
            last ones are dropped.
    """
    width = width or shutil.get_terminal_size().columns
    rows = [tuple(row) for row in body]
    fixed = len(head) - len(texts)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    kept = fixed
    while kept > 2 and sum(widths[:kept]) + _GAP * (kept - 1) > width:
        kept -= 1
    used = sum(widths[:kept]) + _GAP * (kept - 1)
    shown = _columns(widths[fixed:], width - used) if kept == fixed else []
    lines: list[str] = []
    for number, row in enumerate((tuple(head), *rows)):
        cells = [
            [cell.rjust(size) if title in numbers else cell.ljust(size)]
            for title, cell, size in zip(head, row, widths[:kept], strict=False)
        ]
        for cell, size in zip(row[fixed:], shown, strict=False):
            lines_of_cell = textwrap.wrap(cell, size, break_on_hyphens=False) or [""]
            cells.append([line.ljust(size) for line in lines_of_cell])
        blank = [" " * len(cell[0]) for cell in cells]
        for line in range(max(map(len, cells))):
            parts = [cell[line] if line < len(cell) else blank[n] for n, cell in enumerate(cells)]
            lines.append((" " * _GAP).join(parts).rstrip())
        if texts and not shown and number:
            indent = " " * _INDENT
            lines += textwrap.wrap(
                row[fixed],
                max(width, 20),
                initial_indent=indent,
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def _columns(wanted: Sequence[int], room: int) -> list[int]:
    """Widths of the text columns that fit, the first ones."""
    for count in range(len(wanted), 0, -1):
        each = room // count - _GAP
        if each >= min(_NARROWEST, *wanted[:count]) if count > 1 else each >= _NARROWEST:
            break
    else:
        return [] if not wanted or room - _GAP < wanted[0] else [wanted[0]]
    # Width that one column does not need goes to the others.
    left, sizes = room - _GAP * count, [0] * count
    for done, column in enumerate(sorted(range(count), key=lambda n: wanted[n])):
        sizes[column] = min(wanted[column], left // (count - done))
        left -= sizes[column]
    return sizes
