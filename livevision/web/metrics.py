"""Metrics of a run for Prometheus: base units, counters with ``_total``."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from livevision.capture.life import State
from livevision.runtime.metering import Counted
from livevision.web.endpoint import Services

LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)
STAGE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Bucket bounds of the histograms in seconds."""


def exposition(services: Services) -> tuple[bytes, str]:
    """The current metrics as text, and its media type."""
    registry = CollectorRegistry()
    registry.register(_Run(services))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Run(Collector):
    """Collects the metrics of a run."""

    def __init__(self, services: Services) -> None:
        self._rooms = services

    def describe(self) -> list[Metric]:
        """No metrics: otherwise the registry collects twice."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        rows = _distinct(self._rooms.facade.sources())
        yield from self._of_run()
        yield from _of_sources(rows)
        yield from self._times(rows)
        yield from self._of_outputs()
        yield from self._of_segments(rows)
        yield from self._rooms.facade.metrics()

    def _of_run(self) -> Iterator[Metric]:
        services, run = self._rooms, self._rooms.facade.run()
        facts = {
            "version": str(run["version"]),
            "models": "+".join(model["name"] for model in run["models"]),
            **{key: str(run[key] or "") for key in ("engine", "device", "precision")},
        }
        yield InfoMetricFamily("livevision", "The run.", value=facts)
        verdict = services.health.look()
        yield _gauge("livevision_uptime_seconds", "Time since the run began.", run["up_s"])
        yield _gauge("livevision_healthy", "Whether any source delivers frames.", verdict.healthy)
        yield _gauge("livevision_ready", "Whether all sources deliver frames.", verdict.ready)
        yield _gauge("livevision_sources", "Watched sources.", len(services.facade.watched))
        yield _gauge("livevision_threads", "Threads of the process.", threading.active_count())
        viewers = services.pictures.viewers
        yield _gauge("livevision_page_viewers", "Viewers of streams of pictures.", viewers)
        yield CounterMetricFamily(
            "livevision_page_pictures",
            "Pictures encoded for the page.",
            value=services.pictures.encoded,
        )
        videos = services.videos
        yield _gauge("livevision_page_videos", "H.264 videos encoded for viewers.", videos.active)
        yield CounterMetricFamily(
            "livevision_page_video_pictures",
            "Pictures encoded as H.264 for the page.",
            value=videos.encoded,
        )
        outcome = services.reloading.outcome
        yield _gauge(
            "livevision_settings_last_reload_successful",
            "Whether the last reload of the settings succeeded.",
            not outcome.error,
        )
        reloads = CounterMetricFamily(
            "livevision_settings_reloads", "Reloads of the settings.", labels=["result"]
        )
        reloads.add_metric(["done"], outcome.done)
        reloads.add_metric(["failed"], outcome.failed)
        yield reloads

    def _times(self, rows: Sequence[dict[str, Any]]) -> Iterator[Metric]:
        meter = self._rooms.facade.meter
        latency = HistogramMetricFamily(
            "livevision_latency_seconds",
            "Time from capture to delivery, of live sources.",
            labels=["source"],
        )
        for row in rows:
            counted = meter.latency(row["id"], LATENCY_S)
            if counted is not None:
                _add(latency, [row["name"]], LATENCY_S, counted)
        yield latency
        stages = HistogramMetricFamily(
            "livevision_stage_seconds", "Time a stage takes for a frame.", labels=["stage"]
        )
        for name, counted in meter.stage_times(STAGE_S).items():
            _add(stages, [name], STAGE_S, counted)
        yield stages

    def _of_outputs(self) -> Iterator[Metric]:
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in self._rooms.facade.meter.outlet_rows():
            rows.setdefault(row["output"], []).append(row)
        written = _counter("livevision_output_frames", "Frames written.", "output")
        lost = _counter("livevision_output_dropped_frames", "Frames dropped.", "output", "cause")
        retries = _counter("livevision_output_retries", "Retries after a failure.", "output")
        up = _labelled("livevision_output_up", "Whether the output works.", "output")
        for name, each in rows.items():
            written.add_metric([name], sum(row["frames_out"] for row in each))
            retries.add_metric([name], sum(row["retries"] for row in each))
            up.add_metric([name], float(each[-1]["error"] is None))
            for cause in sorted({cause for row in each for cause in row["dropped"]}):
                lost.add_metric([name, cause], sum(row["dropped"].get(cause, 0) for row in each))
        yield from (written, lost, retries, up)

    def _of_segments(self, rows: Sequence[dict[str, Any]]) -> Iterator[Metric]:
        up = _labelled("livevision_record_up", "Whether recording works.", "source")
        segments = _counter("livevision_record_segments", "Finished segments.", "source")
        failures = _counter("livevision_record_failures", "Failures of recording.", "source")
        for row in rows:
            record = row["record"]
            if record is not None:
                up.add_metric([row["name"]], float(record["error"] is None))
                segments.add_metric([row["name"]], record["segments"])
                failures.add_metric([row["name"]], record["failures"])
        yield from (up, segments, failures)
        size = GaugeMetricFamily("livevision_record_bytes", "Size of all segments.")
        free = GaugeMetricFamily("livevision_record_disk_free_bytes", "Free space on their disk.")
        recording = self._rooms.facade.segments
        if recording is not None:
            size.add_metric([], recording.report()["bytes"])
            with suppress(OSError):  # it may be unplugged
                free.add_metric([], shutil.disk_usage(recording.where).free)
        yield from (size, free)


def _distinct(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with distinct names: Prometheus rejects a repeated label."""
    names = Counter(row["name"] for row in rows)
    return [
        row if names[row["name"]] == 1 else {**row, "name": f"{row['name']}#{row['id']}"}
        for row in rows
    ]


def _of_sources(rows: Sequence[dict[str, Any]]) -> Iterator[Metric]:
    captured = _counter("livevision_captured_frames", "Captured frames.", "source")
    delivered = _counter("livevision_delivered_frames", "Delivered frames.", "source")
    dropped = _counter("livevision_dropped_frames", "Dropped frames.", "source", "stage", "cause")
    losses = _counter("livevision_source_losses", "Losses before decoding.", "source", "cause")
    reconnects = _counter("livevision_source_reconnects", "Attempts to reconnect.", "source")
    state = _labelled("livevision_source_state", "1 for the current state.", "source", "state")
    age = _labelled("livevision_source_frame_age_seconds", "Age of the newest frame.", "source")
    lag = _labelled("livevision_source_lag_seconds", "Lag behind its own clock.", "source")
    objects = _labelled("livevision_objects", "Objects in the newest frame.", "source", "class")
    recording = _labelled("livevision_source_recording", "Whether it is being recorded.", "source")
    for row in rows:
        name = row["name"]
        captured.add_metric([name], row["frames_in"])
        delivered.add_metric([name], row["frames_out"])
        reconnects.add_metric([name], row["retries"])
        for key, count in row["dropped"].items():
            stage, _, cause = key.partition(": ")
            dropped.add_metric([name, stage, cause], count)
        for cause, count in row["losses"].items():
            losses.add_metric([name, cause], count)
        for one in (*get_args(State), "paused"):
            state.add_metric([name, one], float(one == row["state"]))
        if row["age_s"] is not None:
            age.add_metric([name], row["age_s"])
        if row["rates"]["lag_ms"] is not None:
            lag.add_metric([name], row["rates"]["lag_ms"] / 1e3)
        if row["state"] == "live":
            for class_name, count in row["counts"].items():
                objects.add_metric([name, class_name], count)
        active = row["recording"] is not None and row["recording"]["error"] is None
        record = row["record"]
        active = active or (record is not None and record["file"] is not None)
        recording.add_metric([name], float(active))
    yield from (captured, delivered, dropped, losses, reconnects)
    yield from (state, age, lag, objects, recording)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _labelled(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels)


def _add(
    family: HistogramMetricFamily, labels: list[str], bounds: Sequence[float], counted: Counted
) -> None:
    buckets = [(repr(b), float(n)) for b, n in zip(bounds, counted.below, strict=True)]
    family.add_metric(labels, [*buckets, ("+Inf", float(counted.number))], counted.total)
