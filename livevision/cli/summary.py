"""`livevision summary`: sums up a store of events as tables, CSV or an HTML page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from livevision.cli.table import table
from livevision.errors import OutputError, UsageError
from livevision.files import with_home, write_whole

if TYPE_CHECKING:
    from livevision.events.summary import Summary

_DAY = "YYYY-MM-DD"


@click.command("summary")
@click.argument("store", metavar="EVENTS.sqlite")
@click.option("--source", help="Only this source.")
@click.option("--rule", help="Only events of this rule.")
@click.option("--class", "class_", metavar="NAME", help="Only this class.")
@click.option("--from", "first", metavar=_DAY, help="First day.")
@click.option("--to", "last", metavar=_DAY, help="Last day, inclusive.")
@click.option("--by", default="hour", show_default=True, metavar="hour|day", help="Rows of tables.")
@click.option("--timezone", metavar="NAME", help="Such as Europe/Berlin; default: the machine's.")
@click.option("--csv", "as_csv", metavar="FILE|-", help="Write everything as CSV.")
@click.option("--html", metavar="FILE", help="Write a page with plots that works offline.")
def command(
    store: str,
    source: str | None,
    rule: str | None,
    class_: str | None,
    first: str | None,
    last: str | None,
    by: str,
    timezone: str | None,
    as_csv: str | None,
    html: str | None,
) -> int:
    """Sum up a store of events.

    Counts of lines and visits of zones by hour and class, durations of visits, and events by hour
    and rule: as tables, or as a file with --csv or --html.
    """
    from livevision.events.reading import EventFilter, EventReader
    from livevision.events.summary import summarise
    from livevision.events.summary_page import page

    if by not in ("hour", "day"):
        raise UsageError(f"--by {by}: hour or day")
    try:
        zone = None if timezone is None else ZoneInfo(timezone)
    except (ValueError, OSError, KeyError):
        raise UsageError(
            f"--timezone: {timezone!r} is not a time zone such as Europe/Berlin"
        ) from None
    begin, end = _day(first, "--from"), _day(last, "--to")
    chosen = EventFilter(
        source=source,
        rule=rule,
        class_=class_,
        since=None if begin is None else _midnight(begin, 0, zone),
        until=None if end is None else _midnight(end, 1, zone),
    )
    reader = EventReader(with_home(store))
    try:
        summary = summarise(reader, chosen, zone, by)
    finally:
        reader.close()
    if as_csv is not None:
        _write(as_csv, "".join(_csv(summary)))
    if html is not None:
        name = Path(store).name
        span = f"{summary.hours[0]} to {summary.hours[-1]}" if summary.hours else "nothing"
        of = ", ".join(each for each in (source, rule, class_) if each)
        _write(html, page(summary, f"Events of {name}", f"{span}{f'; {of}' if of else ''}"))
    if as_csv is None and html is None:
        click.echo("\n\n".join(_tables(summary, by)) or "no events")
    return 0


def _day(text: str | None, flag: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{flag}: {text!r} is not a day such as 2026-11-29") from None


def _midnight(day: date, after: int, zone: ZoneInfo | None) -> datetime:
    noon = datetime(day.year, day.month, day.day, tzinfo=zone)
    return datetime.fromordinal(noon.toordinal() + after).replace(tzinfo=zone).astimezone()


def _write(place: str, text: str) -> None:
    if place == "-":
        click.echo(text, nl=False)
        return
    path = with_home(place)
    try:
        write_whole(path, text)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"livevision: written: {path}", err=True)


def _tables(summary: Summary, by: str) -> Iterator[str]:
    from livevision.events.summary import EDGES, bar_label

    if summary.counts:
        rows = []
        for hour in summary.hours:
            for place in summary.places:
                for class_ in sorted(summary.classes(place)):
                    kinds = [summary.counts[hour, place, k, class_] for k in ("in", "out", "visit")]
                    if any(kinds):
                        numbers = (str(kind) if kind else "" for kind in kinds)
                        rows.append([hour, place.name, class_, *numbers, place.source])
        numbers_of = ("in", "out", "visits")
        yield table((by, "place", "class", *numbers_of, "source"), rows, numbers=numbers_of)
    if summary.durations:
        rows = []
        for (place, class_), stay in sorted(summary.durations.items()):
            figures = (f"{s:.1f}" for s in (stay.mean, stay.median, stay.longest))
            rows.append([place.name, class_, str(stay.visits), *figures, place.source])
        seconds = ("visits", "mean s", "median s", "longest s")
        yield table(("place", "class", *seconds, "source"), rows, numbers=seconds)
        rows = []
        for (place, class_), stay in sorted(summary.durations.items()):
            most = max(stay.bars)
            for number in range(len(EDGES)):
                bar = "█" * round(30 * stay.bars[number] / most)
                count = stay.bars[number]
                rows.append([place.name, class_, bar_label(number), str(count), bar])
        yield table(("place", "class", "stayed", "visits", ""), rows, numbers=("visits",))
    if summary.events:
        rows = [
            [hour, rule, str(number), source]
            for (hour, source, rule), number in sorted(summary.events.items())
        ]
        yield table((by, "rule", "events", "source"), rows, numbers=("events",))


def _csv(summary: Summary) -> Iterator[str]:
    """One table in long form: a row for each number."""
    from livevision.events.summary import EDGES, bar_label

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("what", "hour", "source", "place", "class", "measure", "value"))
    for (hour, place, kind, class_), number in sorted(summary.counts.items()):
        writer.writerow(("count", hour, place.source, place.name, class_, kind, number))
    for (place, class_), stay in sorted(summary.durations.items()):
        measures = [(bar_label(n), stay.bars[n]) for n in range(len(EDGES))]
        seconds = {"mean": stay.mean, "median": stay.median, "longest": stay.longest}
        for measure, value in (*measures, *((k, round(v, 3)) for k, v in seconds.items())):
            writer.writerow(("stay", "", place.source, place.name, class_, measure, value))
    for (hour, source, rule), number in sorted(summary.events.items()):
        writer.writerow(("event", hour, source, rule, "", "began", number))
    yield text.getvalue()
