"""Scores of tracks against labelled objects: HOTA, IDF1 and MOTA, computed by ``trackers``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
"""Rows in the MOT Challenge's format: frame, number, left, top, width, height, confidence, class,
visibility; N×9."""

FIGURES = ("HOTA", "DetA", "AssA", "IDF1", "MOTA")
"""Shares of 1."""
COUNTS = ("IDSW", "FP", "FN", "objects", "tracks")
"""Identity switches, false positives, misses, and numbers of objects and tracks."""


def score_tracks(
    labelled: Mapping[str, Rows], found: Mapping[str, Rows]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Figures of all sequences together, and of each by name.

    Args:
        labelled: Objects by sequence; those of other classes than 1 are not scored.
        found: Tracks by sequence; rows with a negative number are ignored.
    """
    from trackers.eval import evaluate_mot_sequences

    with tempfile.TemporaryDirectory(prefix="livevision-tracks-") as folder:
        for kind, sequences in (("gt", labelled), ("found", found)):
            (Path(folder) / kind).mkdir()
            for name, rows in sequences.items():
                _write(Path(folder) / kind / f"{name}.txt", rows)
        result = evaluate_mot_sequences(
            Path(folder) / "gt", Path(folder) / "found", metrics=["CLEAR", "HOTA", "Identity"]
        )
    by_sequence = {}
    for name, rows in labelled.items():
        figures = _figures(result.sequences[name])
        figures["objects"] = _numbers(rows[(rows[:, 7] == 1) & (rows[:, 6] != 0)])
        figures["tracks"] = _numbers(found[name])
        by_sequence[name] = figures
    total = _figures(result.aggregate)
    for count in ("objects", "tracks"):
        total[count] = sum(figures[count] for figures in by_sequence.values())
    return total, by_sequence


def _figures(result: Any) -> dict[str, float]:
    hota, clear, identity = result.HOTA, result.CLEAR, result.Identity
    return {
        "HOTA": float(hota.HOTA),
        "DetA": float(hota.DetA),
        "AssA": float(hota.AssA),
        "IDF1": float(identity.IDF1),
        "MOTA": float(clear.MOTA),
        "IDSW": int(clear.IDSW),
        "FP": int(clear.CLR_FP),
        "FN": int(clear.CLR_FN),
    }


def _numbers(rows: Rows) -> int:
    return len(np.unique(rows[rows[:, 1] >= 0, 1]))


def _write(file: Path, rows: Rows) -> None:
    """Write rows; without rows a dummy one, since the scorer rejects empty files."""
    if not len(rows):
        rows = np.array([[1, -1, 0, 0, 1, 1, 0, 1, 1]], np.float64)
    np.savetxt(file, rows, fmt="%.6g", delimiter=",")
