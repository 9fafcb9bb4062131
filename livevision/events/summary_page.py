"""A summary as one HTML page without scripts or external files; its plots are SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from livevision.events.summary import EDGES, Place, Summary, bar_label

_COLOURS = ("#3b82c4", "#e08a2e", "#4d9e5f", "#c4504f", "#8a6fc0", "#8c6d52", "#d279b5", "#7f8790")
_WIDTH, _HEIGHT, _LEFT, _BELOW = 880, 200, 44, 34

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 11px; }
.axis { stroke: currentColor; stroke-opacity: .25; }
table { border-collapse: collapse; } td, th { padding: .15em .9em .15em 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
details { margin: .5em 0; }
"""


def page(summary: Summary, title: str, what: str) -> str:
    """The summary as HTML.

    Args:
        summary: The summary.
        title: Title of the page.
        what: A line with the period and the filters.
    """
    parts = [f"<h1>{escape(title)}</h1><p>{escape(what)}</p>"]
    if not summary.hours:
        parts.append("<p>No events.</p>")
    for place in summary.places:
        parts += _of_place(summary, place)
    if summary.events:
        parts.append(_events(summary))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _of_place(summary: Summary, place: Place) -> list[str]:
    classes = summary.classes(place)
    parts = [f"<h2>{escape(place.name)} · {escape(place.source)}</h2>"]
    for kind in summary.kinds(place):
        name = {"visit": "visits"}.get(kind, kind)

        def count(hour: str, class_: str, kind: str = kind) -> int:
            return summary.counts[hour, place, kind, class_]

        total = sum(count(hour, class_) for hour in summary.hours for class_ in classes)
        parts.append(f"<h3>{escape(name)}: {total}</h3>{_key(classes)}")
        parts.append(_bars([_short(hour) for hour in summary.hours], summary.hours, classes, count))
        rows = [
            [hour, class_, str(count(hour, class_))]
            for hour in summary.hours
            for class_ in classes
            if count(hour, class_)
        ]
        parts.append(_table(("hour", "class", name), rows))
    stayed = [class_ for class_ in classes if (place, class_) in summary.durations]
    if stayed:
        labels = [bar_label(n) for n in range(len(EDGES))]

        def bar(label: str, class_: str) -> int:
            return summary.durations[place, class_].bars[labels.index(label)]

        parts.append(f"<h3>Duration of visits</h3>{_key(stayed)}")
        parts.append(_bars(labels, labels, stayed, bar))
        rows = []
        for class_ in stayed:
            times = summary.durations[place, class_]
            figures = (times.mean, times.median, times.longest)
            rows.append([class_, str(times.visits), *(f"{s:.1f}" for s in figures)])
        head = ("class", "visits", "mean s", "median s", "longest s")
        parts.append(_table(head, rows, shown=True))
    return parts


def _events(summary: Summary) -> str:
    rules = sorted({f"{rule} · {source}" for _, source, rule in summary.events})
    by_name = {
        (hour, f"{rule} · {source}"): number
        for (hour, source, rule), number in summary.events.items()
    }

    def count(hour: str, rule: str) -> int:
        return by_name.get((hour, rule), 0)

    rows = [[hour, rule, str(number)] for (hour, rule), number in sorted(by_name.items())]
    bars = _bars([_short(hour) for hour in summary.hours], summary.hours, rules, count)
    return f"<h2>Events</h2>{_key(rules)}{bars}{_table(('hour', 'rule', 'events'), rows)}"


def _bars(
    labels: Sequence[str],
    columns: Sequence[str],
    series: Sequence[str],
    value: Callable[[str, str], int],
) -> str:
    """A chart of stacked bars as SVG."""
    totals = [sum(value(column, name) for name in series) for column in columns]
    most = max((*totals, 1))
    step = (_WIDTH - _LEFT) / max(1, len(columns))
    drawn = []
    for share in (0, 0.5, 1):
        y = _HEIGHT * (1 - share) + 8
        drawn.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{most * share:g}</text>')
    every = max(1, round(len(columns) / 12))
    for number, (label, column) in enumerate(zip(labels, columns, strict=True)):
        x, y = _LEFT + number * step, _HEIGHT + 8.0
        for place, name in enumerate(series):
            height = _HEIGHT * value(column, name) / most
            y -= height
            if height:
                title = escape(f"{column}: {name} {value(column, name)}")
                drawn.append(
                    f'<rect x="{x + 0.1 * step:.2f}" y="{y:.2f}" width="{0.8 * step:.2f}" '
                    f'height="{height:.2f}" fill="{_COLOURS[place % len(_COLOURS)]}">'
                    f"<title>{title}</title></rect>"
                )
        if number % every == 0:
            drawn.append(
                f'<text x="{x + step / 2:.1f}" y="{_HEIGHT + 26}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
    size = f"0 0 {_WIDTH} {_HEIGHT + _BELOW}"
    return f'<svg viewBox="{size}" role="img">{"".join(drawn)}</svg>'


def _key(names: Sequence[str]) -> str:
    items = (
        f'<span class="key" style="background:{_COLOURS[n % len(_COLOURS)]}"></span>{escape(name)}'
        for n, name in enumerate(names)
    )
    return f"<p>{''.join(items)}</p>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, shown: bool = False) -> str:
    numbers = [all(row[n].replace(".", "").isdecimal() for row in rows) for n in range(len(head))]
    marks = ['class="n"' if number else "" for number in numbers]
    heads = "".join(f"<th {mark}>{escape(h)}</th>" for h, mark in zip(head, marks, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td {m}>{escape(cell)}</td>" for cell, m in zip(row, marks, strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<table><tr>{heads}</tr>{body}</table>"
    return table if shown else f"<details><summary>Table</summary>{table}</details>"


def _short(hour: str) -> str:
    """An hour as ``11-29 08h``, a day as ``11-29``."""
    return f"{hour[5:10]} {hour[11:13]}h" if len(hour) > 10 else hour[5:]
