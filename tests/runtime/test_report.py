"""What a run measures of itself."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest

from livevision.protocols import SourceInfo
from livevision.runtime.measures import Histogram, RecentRate, Span
from livevision.runtime.metering import STAGES, Meter
from livevision.runtime.report import as_table


def test_quantiles_are_within_two_percent_of_the_exact_ones() -> None:
    rng = random.Random(1)
    values = [rng.lognormvariate(-5, 1.5) for _ in range(20_000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for share in (0.5, 0.95, 0.99):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.02)
    assert histogram.mean == pytest.approx(np.mean(values))


def test_a_histogram_takes_any_duration() -> None:
    histogram = Histogram()
    for value in (0.0, -1e-9, 1e-12, 1e9):
        histogram.add(value)
    assert histogram.count == 4
    assert Histogram().quantile(0.5) == 0.0


def test_recent_rate_is_that_of_the_window_and_falls_when_events_stop() -> None:
    rate = RecentRate()
    for n in range(100):
        rate.add(n * 0.05)
    assert rate.per_second(99 * 0.05) == pytest.approx(20)
    assert rate.per_second(99 * 0.05 + 1.0) < 20
    assert rate.per_second(99 * 0.05 + 10) == 0.0


def test_span_counts_intervals_not_events() -> None:
    span = Span()
    for now in (10.0, 10.5, 11.0):
        span.add(now)
    assert span.per_second() == pytest.approx(2.0)
    assert Span().per_second() is None


def make_meter(live: bool = True) -> Meter:
    meter = Meter()
    meter.opened(0, SourceInfo("clip.mp4", live, (4, 4)), {"corrupt": 2})
    for _ in range(3):
        meter.captured(0, 0.001)
        meter.worked("preprocess", 0.002)
        meter.worked("inference", 0.050)
        meter.worked("overlay", 0.003)
    for _ in range(2):
        meter.delivered(0, time.monotonic() - 0.1, 0.004)
    meter.dropped(0, "inference", "late")
    return meter


def test_the_report_has_the_promised_shape() -> None:
    report = make_meter().report(engine="openvino", device="cpu", precision="fp32", model="x")
    report = json.loads(json.dumps(report))
    assert set(report) == {
        "frames_in", "frames_out", "dropped", "capture_fps", "inference_fps", "delivered_fps",
        "first_frame_s", "wall_s", "cpu_s", "peak_rss_mb", "latency_ms", "stages", "bottleneck",
        "sources", "outlets", "sources_failed", "engine", "device", "precision", "model",
    }  # fmt: skip
    assert list(report["stages"]) == list(STAGES)
    for row in report["stages"].values():
        assert set(row) == {"mean_ms", "p50_ms", "p95_ms", "p99_ms", "busy"}
    assert set(report["latency_ms"]) == {"mean", "p50", "p95", "p99"}
    assert (report["frames_in"], report["frames_out"]) == (3, 2)
    assert report["dropped"] == {"inference": {"late": 1}}
    (source,) = report["sources"]
    assert source.pop("latency_ms") == report["latency_ms"]
    assert source == {
        "source": "clip.mp4", "frames_in": 3, "frames_out": 2, "losses": {"corrupt": 2},
        "dropped": {"inference": {"late": 1}}, "error": None,
    }  # fmt: skip
    assert report["inference_fps"] == pytest.approx(20, rel=0.01)
    assert report["latency_ms"]["p50"] == pytest.approx(100, rel=0.1)
    assert report["bottleneck"] == "inference"


def test_no_rate_is_told_of_fewer_than_two_frames() -> None:
    meter = Meter()
    meter.opened(0, SourceInfo("a.jpg", False, (4, 4)), {})
    meter.captured(0, 0.001)
    meter.worked("inference", 0.02)
    meter.delivered(0, time.monotonic(), 0.001)
    report = meter.report()
    assert (report["capture_fps"], report["delivered_fps"]) == (None, None)
    assert report["inference_fps"] == pytest.approx(50)
    assert "fps: model 50.0" in as_table(report)


def at_work(shares: dict[str, float], live: bool = False) -> Meter:
    """The meter of a run in which each stage was at work for a share of the time."""
    meter = Meter()
    now = time.monotonic()
    meter.opened(0, SourceInfo("x", live, (4, 4)), {})
    frames = 10
    with pytest.MonkeyPatch.context() as patch:
        for n in range(frames):
            patch.setattr("livevision.runtime.metering.time.monotonic", lambda n=n: now + n)
            meter.captured(0, shares.get("capture", 0) * (frames - 1) / frames)
            for stage in ("preprocess", "inference", "overlay"):
                meter.worked(stage, shares.get(stage, 0) * (frames - 1) / frames)
            meter.delivered(0, now + n, shares.get("output", 0) * (frames - 1) / frames)
    return meter


@pytest.mark.parametrize(
    ("shares", "live", "bottleneck"),
    [
        ({"capture": 0.5, "inference": 0.55}, False, None),
        ({"capture": 0.5, "inference": 0.65}, False, "inference"),
        ({"capture": 0.9, "inference": 0.7}, False, "capture"),
        ({"capture": 0.99, "inference": 0.1}, True, None),
        ({"capture": 0.99, "inference": 0.7}, True, "inference"),
        ({"inference": 0.65, "output": 0.8}, False, "output"),
    ],
)
def test_a_bottleneck_is_at_work_most_of_the_time(
    shares: dict[str, float], live: bool, bottleneck: str | None
) -> None:
    report = at_work(shares, live).report()
    assert report["bottleneck"] == bottleneck
    for stage, row in report["stages"].items():
        if live and stage == "capture":
            assert row["busy"] is None
        else:
            assert row["busy"] == pytest.approx(shares.get(stage, 0), abs=0.01)
    assert ("<- bottleneck" in as_table(report)) == (bottleneck is not None)


def test_the_cpu_time_is_that_of_the_run() -> None:
    before = time.process_time()
    while time.process_time() < before + 0.2:
        pass
    assert Meter().report()["cpu_s"] < 0.1


def test_sources_that_failed_are_counted_and_told() -> None:
    meter = make_meter()
    meter.failed(2, "c.mp4", ValueError("no\nvideo"))
    meter.failed(0, "clip.mp4", ValueError("broke off"))
    report = meter.report()
    assert report["sources_failed"] == 2
    assert [(row["source"], row["error"]) for row in report["sources"]] == [
        ("clip.mp4", "broke off"), ("c.mp4", "no video"),
    ]  # fmt: skip
    assert report["sources"][0]["frames_in"] == 3
    assert report["sources"][1] == {
        "source": "c.mp4", "frames_in": 0, "frames_out": 0, "losses": {}, "error": "no video",
        "dropped": {}, "latency_ms": None,
    }  # fmt: skip


def test_the_display_shows_what_inference_alone_could_do() -> None:
    rates = make_meter().rates(0)
    assert rates.model_fps == pytest.approx(20)
    assert rates.dropped == 1
    assert rates.latency_ms == pytest.approx(100, rel=0.1)


def test_a_file_has_no_latency() -> None:
    meter = make_meter(live=False)
    report = meter.report()
    assert report["latency_ms"] is None
    assert meter.rates(0).latency_ms is None
    assert "latency" not in as_table(report)


def test_the_table_has_the_figures_of_the_report() -> None:
    report = make_meter().report()
    lines = as_table(report).splitlines()
    for stage, row in report["stages"].items():
        (line,) = (li.split() for li in lines if li.startswith(stage))
        told = [float(word) for word in line[1:5]]
        assert told == pytest.approx(
            [row[f"{name}_ms"] for name in ("mean", "p50", "p95", "p99")], abs=0.006
        )
        assert line[5] == ("-" if row["busy"] is None else f"{row['busy']:.0%}")
    (line,) = (li.split() for li in lines if li.startswith("latency"))
    assert [float(word) for word in line[1:]] == pytest.approx(
        list(report["latency_ms"].values()), abs=0.006
    )
    assert "frames: 3 in, 2 out, dropped: 1 late before inference" in lines
    rates = (report[f"{name}_fps"] for name in ("capture", "inference", "delivered"))
    assert "fps: capture {:.1f}, model {:.1f}, delivered {:.1f}".format(*rates) in lines
    first, wall, cpu, rss = (
        report[key] for key in ("first_frame_s", "wall_s", "cpu_s", "peak_rss_mb")
    )
    assert (
        f"first frame after {first:.2f} s; {wall:.1f} s in all, {cpu:.1f} s of CPU, "
        f"{rss:.0f} MB at most"
    ) in lines


def test_the_table_leaves_out_stages_that_did_nothing() -> None:
    meter = Meter()
    meter.opened(0, SourceInfo("x", False, (4, 4)), {})
    meter.captured(0, 0.01)
    meter.dropped(0, "preprocess", "stopped")
    lines = [line.split()[0] for line in as_table(meter.report()).splitlines()]
    assert lines == ["stage", "capture", "frames:"]


def test_the_table_names_the_bottleneck_and_the_drops() -> None:
    table = as_table(make_meter().report())
    marked = [line for line in table.splitlines() if "bottleneck" in line]
    assert len(marked) == 1
    assert marked[0].startswith("inference")
    assert "1 late before inference" in table
    assert "2 corrupt (clip.mp4)" in table


def test_recent_work_is_that_of_the_stages_behind_capture() -> None:
    meter = make_meter()
    assert meter.recent_work() == pytest.approx(0.002 + 0.050 + 0.003 + 0.004)
    meter.changed()
    assert meter.recent_work() == 0.0
    meter.worked("inference", 0.030)
    assert meter.recent_work() == pytest.approx(0.030)


def test_the_table_tells_of_a_target() -> None:
    told = {"target_ms": 50.0, "below_target": 0.9871, "input_size": "256x256", "stride": 2}
    table = as_table(make_meter().report(target_latency={**told, "changes_in_all": 3}))
    assert "latency below 50 ms: 98.7% of frames; now 256x256, stride 2, after 3 changes" in table


def test_a_run_without_frames_reports_too() -> None:
    report = Meter().report()
    assert report["bottleneck"] is None
    assert report["first_frame_s"] is None
    assert "0 in, 0 out" in as_table(report)
