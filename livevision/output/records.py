"""Results as data: one JSON line per frame, or one CSV row per result."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.errors import OutputError
from livevision.frame import Frame, Inferred, Rendered
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.standard_output import StandardOutput
from livevision.output.target import STANDARD_OUTPUT
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.results import ClassMap, Label, Result

if TYPE_CHECKING:
    import supervision as sv

COLUMNS = (
    *("source", "frame", "time", "class", "class_id", "confidence"),
    *("x1", "y1", "x2", "y2", "track_id", "share", "wall_time", "model"),
)


class RecordsSink:
    """Writes results as they come; a crash loses at most the row being written.

    ``.jsonl`` has one row per frame: ``{source, frame, time, wall_time?, detections: [{box: [x1,
    y1, x2, y2], class, class_id, confidence, track_id?}], segments: {class: share}, labels:
    [{class, class_id, confidence}]}``, with ``detections``, ``segments`` and ``labels`` for the
    run's tasks, empty if nothing was found; labels are those of the whole frame, likeliest first.
    Boxes are in the frame's pixels (2 decimals), times in seconds (6), confidences and shares 0..1
    (4 and 6). Frames of live sources have a ``wall_time``: the time of capture in UTC, ISO 8601,
    with milliseconds. A still picture has its file as ``source`` and null as ``time``; one of a
    multi-page file has its ``page``, from 1. Standard output gets the same rows. If several models
    of one task process a source, each detection and label has its ``model``, and ``segments`` are
    by model: ``{model: {class: share}}``.

    ``.csv`` has the columns ``COLUMNS`` and one row for each detection (``share`` empty), each
    class of a class map (``confidence`` and the box empty) and each label (only class and
    confidence).

    Args:
        target: Path ending in .jsonl or .csv, or "-" for standard output.
        info: The source; each row has its name unless ``options.sources`` has names.
        options: ``overwrite``, ``sources`` and, for standard output, ``stopping``.

    Raises:
        OutputError: The file exists, or cannot be created or written.
    """

    wants_image = False
    policy = OutletPolicy(full="durable")

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        self._info = info
        self._infos: dict[int, SourceInfo] = {}
        self._names = options.sources
        self._file: OutputFile | StandardOutput
        if target == STANDARD_OUTPUT:
            self.where, self._as_table = "", False
            self._file = StandardOutput(options.stopping)
            return
        path = Path(target)
        if path.suffix.lower() not in (".jsonl", ".csv"):
            raise OutputError(f"cannot write {path}: results end in .jsonl or .csv")
        self.where = str(path)
        self._as_table = path.suffix.lower() == ".csv"
        self._file = OutputFile(path, overwrite=options.overwrite)
        if self._as_table:
            self._file.write(_csv_line(dict(zip(COLUMNS, COLUMNS, strict=True))))

    def opened(self, source: int, info: SourceInfo) -> None:
        """Add a source whose frames follow."""
        self._infos[source] = info

    def write(self, rendered: Rendered) -> None:
        """Add the rows of a frame.

        Raises:
            OutputError: The disk is full, or the file can no longer be written.
        """
        frame = rendered.frame
        record = row_of(rendered, self._source_of(frame), live=self._info_of(frame).live)
        if self._as_table:
            self._file.write(b"".join(_csv_line(row) for row in _rows(record, rendered)))
        else:
            self._file.write(line_of(record))

    def close(self) -> None:
        self._file.close()

    def _source_of(self, frame: Frame) -> str:
        if frame.picture is not None:
            return frame.picture.path
        named = frame.source < len(self._names)
        return self._names[frame.source] if named else self._info_of(frame).name

    def _info_of(self, frame: Frame) -> SourceInfo:
        return self._infos.get(frame.source, self._info)


def row_of(found_in: Rendered | Inferred, source: str, *, live: bool) -> dict[str, Any]:
    """The results of a frame as a row of JSON; see ``RecordsSink``."""
    frame, results = found_in.frame, found_in.results
    record: dict[str, Any] = {"source": source, "frame": frame.index}
    if frame.picture is None:
        record["time"] = round(frame.time, 6)
    else:
        record["time"] = None
        if frame.picture.page is not None:
            record["page"] = frame.picture.page + 1
    if live:
        record["wall_time"] = _utc(frame.wall_time)
    found: dict[str, Any] = {}
    several = _several(results)
    for model, result in results.items():
        of = {"model": model} if type(result) in several else {}
        if isinstance(result, ClassMap):
            shares = {name: round(share, 6) for name, share in result.shares().items()}
            if of:
                found.setdefault("segments", {})[model] = shares
            else:
                found["segments"] = shares
        elif isinstance(result, Label):
            found.setdefault("labels", []).extend({**row, **of} for row in _labels(result))
        else:
            rows = found.setdefault("detections", [])
            rows.extend({**row, **of} for row in _detections(result))
    # In fixed order, whatever the order of the run's models.
    record |= {key: found[key] for key in ("detections", "segments", "labels") if key in found}
    return record


def line_of(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON."""
    text = json.dumps(row, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)
    return _encoded(text) + b"\n"


def _utc(monotonic: float) -> str:
    """A ``time.monotonic()`` as UTC in ISO 8601, with milliseconds."""
    moment = datetime.fromtimestamp(time.time() - (time.monotonic() - monotonic), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _detections(result: sv.Detections) -> Iterator[dict[str, Any]]:
    names = result.data.get("class_name")
    for i in range(len(result)):
        found: dict[str, Any] = {"box": [round(float(v), 2) for v in result.xyxy[i]]}
        if names is not None:
            found["class"] = str(names[i])
        if result.class_id is not None:
            found["class_id"] = int(result.class_id[i])
        if result.confidence is not None:
            found["confidence"] = round(float(result.confidence[i]), 4)
        # Trackers use -1 for a box whose track is not confirmed yet.
        if result.tracker_id is not None and result.tracker_id[i] >= 0:
            found["track_id"] = int(result.tracker_id[i])
        yield found


def _labels(result: Label) -> Iterator[dict[str, Any]]:
    for class_id, confidence in zip(result.class_id, result.confidence, strict=True):
        yield {
            "class": result.labels[int(class_id)],
            "class_id": int(class_id),
            "confidence": round(float(confidence), 4),
        }


def _rows(record: dict[str, Any], rendered: Rendered) -> Iterator[dict[str, Any]]:
    """A frame's record as CSV rows."""
    names = ("source", "frame", "time", "wall_time")
    common = {name: record[name] for name in names if name in record}
    for found in (*record.get("detections", ()), *record.get("labels", ())):
        corners = dict(zip(("x1", "y1", "x2", "y2"), found.pop("box", ()), strict=False))
        yield {**common, **found, **corners}
    several = _several(rendered.results)
    for model, result in rendered.results.items():
        if isinstance(result, ClassMap):
            of = {"model": model} if ClassMap in several else {}
            labels = list(result.labels)
            for name, share in result.shares().items():
                row = {"class": name, "class_id": labels.index(name), "share": round(share, 6)}
                yield {**common, **row, **of}


def _several(results: Mapping[str, Result]) -> set[type]:
    """Types of result that several models gave, so that rows must name the model."""
    kinds = [type(result) for result in results.values()]
    return {kind for kind in kinds if kinds.count(kind) > 1}


def _csv_line(row: dict[str, Any]) -> bytes:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n").writerow(row)
    return _encoded(text.getvalue())


def _encoded(text: str) -> bytes:
    """UTF-8; invalid bytes of a file's name become escapes that JSON can read back."""
    return text.encode(errors="backslashreplace")
