"""The report of a run as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TOLD_LAG_MS = 50.0
"""A smaller lag is network jitter and is not shown."""


def as_table(report: Mapping[str, Any]) -> str:
    """The report as a table, one line for each stage that did something."""
    lines = [f"{'stage':<11}{'mean':>9}{'p50':>9}{'p95':>9}{'p99':>9}  ms{'busy':>8}"]
    for stage, row in report["stages"].items():
        if not row["p99_ms"]:
            continue
        mark = "  <- bottleneck" if stage == report["bottleneck"] else ""
        busy = f"{'-':>11}" if row["busy"] is None else f"{row['busy']:11.0%}"
        lines.append(
            f"{stage:<11}{row['mean_ms']:9.2f}{row['p50_ms']:9.2f}{row['p95_ms']:9.2f}"
            f"{row['p99_ms']:9.2f}{busy}{mark}"
        )
    if len(lines) == 1:
        lines.clear()
    latency = report["latency_ms"]
    if latency is not None:
        lines.append(
            f"{'latency':<11}{latency['mean']:9.2f}{latency['p50']:9.2f}{latency['p95']:9.2f}"
            f"{latency['p99']:9.2f}"
        )
    lag = report.get("lag_ms")
    if lag is not None and lag["p99"] >= TOLD_LAG_MS:
        lines.append(
            f"{'lag':<11}{lag['mean']:9.2f}{lag['p50']:9.2f}{lag['p95']:9.2f}{lag['p99']:9.2f}"
            "  behind the source's clock after decoding, part of the latency"
        )
    lines.append(
        f"frames: {report['frames_in']} in, {report['frames_out']} out"
        f"{_drops_in_words(report['dropped'])}"
    )
    adapted = report.get("target_latency")
    if adapted is not None and adapted["below_target"] is not None:
        lines.append(
            f"latency below {adapted['target_ms']:g} ms: {adapted['below_target']:.1%} of frames; "
            f"now {adapted['input_size']}, stride {adapted['stride']}, "
            f"after {adapted['changes_in_all']} changes"
        )
    for row in report["sources"]:
        lost = [f"{count} {cause}" for cause, count in row["losses"].items() if count]
        if lost:
            lines.append(f"lost before decoding: {', '.join(lost)} ({row['source']})")
    rates = {"capture": "capture_fps", "model": "inference_fps", "delivered": "delivered_fps"}
    known = {name: report[key] for name, key in rates.items() if report[key] is not None}
    if known:
        lines.append("fps: " + ", ".join(f"{name} {rate:.1f}" for name, rate in known.items()))
    if report["first_frame_s"] is not None:
        lines.append(
            f"first frame after {report['first_frame_s']:.2f} s; {report['wall_s']:.1f} s in all, "
            f"{report['cpu_s']:.1f} s of CPU, {report['peak_rss_mb']:.0f} MB at most"
        )
    return "\n".join(lines)


def joined(names: Iterable[str]) -> str:
    """Names for the report and the display, without duplicates, such as "a+b"."""
    return "+".join(dict.fromkeys(names))


def _drops_in_words(dropped: Mapping[str, Mapping[str, int]]) -> str:
    parts: Sequence[str] = [
        f"{n} {cause} before {place}"
        for place, causes in dropped.items()
        for cause, n in causes.items()
    ]
    return f", dropped: {'; '.join(parts)}" if parts else ", none dropped"
