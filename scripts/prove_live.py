"""Live sources over minutes and hours, with real servers on this machine.

age         how old frames are, by a time code in the served pictures, with a net ten times too
            slow: RTSP over TCP and UDP, HTTP, HLS, MJPEG and SRT at the same time
restarts    servers killed with kill -9 again and again: memory, descriptors, threads
soak        eight looped streams with page, viewers, recording and metrics: memory; at the end
            kill -9 of the run, and a look at its recordings
killed      the same with RTSP servers that are killed at random
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from livevision import registry
from livevision.bench import time_code
from livevision.bench.serving import Served, StreamServer
from livevision.config import Settings
from livevision.protocols import EngineSpec, TensorSpec
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips
from tests.capture.servers import HttpLiveServer, RtspServer, free_port

LIGHT = "thundernet-snet49"
SAMPLE_S = 10.0


class SlowEngine:
    """Stands in for a net that takes ``seconds`` for a frame, and no processor."""

    reads = "weights"
    seconds = 0.001

    def __init__(self, files: Any, device: str, precision: str, threads: int | None) -> None:
        width, height = files.input_size
        image = TensorSpec((files.batch, height, width, 3), "uint8")
        inputs = {"image": image, "iou_threshold": TensorSpec((1,), "float32")}
        self.spec = EngineSpec("slow", "cpu", "fp32", inputs)

    def __call__(self, batch: Any) -> dict[str, Any]:
        time.sleep(self.seconds)
        n = len(batch["image"])
        return {
            "boxes": np.zeros((n, 1, 4), np.float32),
            "scores": np.zeros((n, 1), np.float32),
            "classes": np.zeros((n, 1), np.int32),
        }

    def close(self) -> None:
        pass


def _with_slow_net(sources: dict[str, Any], seconds: float) -> Run:
    registry.ENGINES["torch"] = "__main__:SlowEngine"
    SlowEngine.seconds = seconds
    settings = Settings.of(sources=sources, model=LIGHT, engine="torch", headless=True, batch=1)
    return Run(settings, Meter())


# Age ----------------------------------------------------------------------------------------------


def age(minutes: float, only: str) -> bool:
    from scripts.time_code_cameras import FPS, Cameras

    cameras = Cameras()
    with closing(cameras):
        for protocol, why in cameras.missing.items():
            print(f"{protocol}: not tried, {why}")
        names = [name for name in cameras.urls if only in name]
        sources = {
            f"s{n}": {"uri": cameras.urls[name], "retry_for": math.inf}
            for n, name in enumerate(names)
        }
        seconds = 10 / (FPS * len(names))
        print(f"{len(names)} sources of {FPS} fps; the net takes {seconds:.2f} s a frame")
        run = _with_slow_net(sources, seconds)
        ages: list[list[tuple[float, float]]] = [[] for _ in names]
        begun = time.monotonic()
        memory = []
        with closing(run.frames()) as frames:
            for rendered in frames:
                now, frame = time.monotonic(), rendered.frame
                number = time_code.read(frame.image)
                if number is not None:
                    ages[frame.source].append((now - begun, cameras.age(number, now)))
                if len(memory) < (now - begun) / 30:
                    memory.append(psutil.Process().memory_info().rss / 1e6)
                if now - begun > 60 * minutes + 20:
                    break
    report = run.report()
    good = True
    print(
        f"{'source':<22}{'frames':>7}   age in s, median / p95 / most: 2nd minute, last minute, all"
    )
    for place, (name, each) in enumerate(zip(names, ages, strict=True)):
        each = [one for one in each if one[0] > 20]  # until all are connected
        if not each:
            print(f"{name:<22}{0:>7}   nothing came")
            good = False
            continue
        end = each[-1][0]
        second = [a for t, a in each if 60 <= t < 120] or [a for _, a in each]
        last = [a for t, a in each if t > end - 60]
        row = run.meter.row(place)
        reconnects = 0 if row is None else row["losses"]["reconnects"]
        told = "  ".join(_three(one) for one in (second, last, [a for _, a in each]))
        print(f"{name:<22}{len(each):>7}   {told}   {len(last)} frames, {reconnects} reconnects")
        good = good and statistics.median(last) < statistics.median(second) + 0.5
    print("dropped:", report["dropped"])
    quarter = memory[len(memory) // 4]
    print(f"MB at first {memory[0]:.0f}, after a quarter {quarter:.0f}, at last {memory[-1]:.0f}")
    return good


def _three(ages: Sequence[float]) -> str:
    return (
        f"{statistics.median(ages):5.2f} /{float(np.percentile(ages, 95)):5.2f} /{max(ages):5.2f}"
    )


# Restarts -----------------------------------------------------------------------------------------


class Killed:
    """A server that is killed once its source has frames, and started again, on a thread."""

    def __init__(self, server: Any, seen: Counter[int], source: int, counted: Counter[str]) -> None:
        self._server, self._seen, self._source = server, seen, source
        self._counted, self._ending = counted, threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._ending.is_set():
            before, since = self._seen[self._source], time.monotonic()
            while self._seen[self._source] == before and not self._ending.wait(0.05):
                if time.monotonic() - since > 30:
                    self._counted["silent for 30 s"] += 1
                    break
            if self._ending.wait(random.uniform(0.0, 0.4)):
                return
            self._server.kill()
            self._counted["kills"] += 1
            self._ending.wait(random.uniform(0.0, 0.3))
            self._server.start()


def _used() -> tuple[float, int, int]:
    """MB, descriptors and threads of this process."""
    me = psutil.Process()
    return me.memory_info().rss / 1e6, me.num_fds(), me.num_threads()


def _settled(frames: Iterator[Any], sources: int, seconds: float) -> tuple[int, float, int, int]:
    """What is used once all sources have had frames for so long."""
    seen: set[int] = set()
    since = time.monotonic()
    for rendered in frames:
        if len(seen) < sources:
            seen.add(rendered.frame.source)
            since = time.monotonic()
        elif time.monotonic() - since > seconds:
            break
    return 0, *_used()


def restarts(kills: int) -> bool:
    counted: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        clip = clips.make_clip(Path(folder) / "a.mkv", frames=1500, size=(160, 120), rate=10, gop=5)
        servers: list[Any] = [RtspServer(clip.path) for _ in range(4)]
        servers += [HttpLiveServer(clip.path, "-c", "copy", "-f", "mpegts") for _ in range(2)]
        for server in servers:
            held.callback(server.kill)
        sources = {f"s{n}": {"uri": s.url, "retry_for": math.inf} for n, s in enumerate(servers)}
        run = _with_slow_net(sources, 0.001)
        rows: list[tuple[int, float, int, int]] = []
        killed: list[Killed] = []
        with closing(run.frames()) as frames:
            rows.append(_settled(frames, len(servers), 10))
            for rendered in frames:
                seen[rendered.frame.source] += 1
                if not killed and len(seen) == len(servers):
                    killed = [Killed(s, seen, n, counted) for n, s in enumerate(servers)]
                if counted["kills"] >= kills:
                    break
                if counted["kills"] >= len(rows) * kills // 20:
                    rows.append((counted["kills"], *_used()))
            for one in killed:
                one.end()
            rows.append((counted["kills"], *_settled(frames, len(servers), 30)[1:]))
        report = run.report()
    print(f"{'kills':>6}{'MB':>8}{'descriptors':>13}{'threads':>9}")
    for kills_then, megabytes, descriptors, threads in rows:
        print(f"{kills_then:>6}{megabytes:>8.1f}{descriptors:>13}{threads:>9}")
    reconnects = sum(row["losses"]["reconnects"] for row in report["sources"])
    print(f"{dict(counted)}, {reconnects} reconnects, frames by source {dict(seen)}")
    first, early, last = rows[0], rows[len(rows) // 4], rows[-1]
    return last[1] < 1.03 * early[1] and last[2] <= first[2] and last[3] <= first[3]


# A run for long -----------------------------------------------------------------------------------


class LongRun:
    """livevision in a process of its own with eight sources, a page, a recording and viewers."""

    def __init__(self, folder: Path, urls: Sequence[str], fps: float | None) -> None:
        self.port, self.recordings = free_port(), folder / "recordings"
        sources = {f"s{n}": {"uri": url, "retry_for": "inf"} for n, url in enumerate(urls)}
        settings = {
            "sources": sources, "model": LIGHT, "headless": True, "record": "continuous",
            "segment": 20, "max_disk": "60MB", "recordings": str(self.recordings),
            "output": [f"web://127.0.0.1:{self.port}", "null"],
        }  # fmt: skip
        if fps is not None:
            settings["fps"] = fps
        config = folder / "run.yaml"
        config.write_text(json.dumps(settings))
        self.log = folder / "run.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "livevision", "--config", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.seen = psutil.Process(self.process.pid)

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return answer.read()

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ask("/api/v1/sources"))
        return found

    def wait(self, seconds: float = 90) -> None:
        """Until all sources have frames."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(OSError):
                if all(row["frames_out"] > 3 for row in self.rows()):
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.5)
        raise SystemExit(f"the sources do not come:\n{self.log.read_text()[-2000:]}")


def _watch_page(port: int, sources: int, ending: threading.Event, got: Counter[str]) -> None:
    """Look at all sources as the page does, with a new connection now and then."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    while not ending.is_set():
        address = f"ws://127.0.0.1:{port}/api/v1/live"
        with suppress(OSError, TimeoutError, WebSocketException), connect(address) as wire:
            wire.send(json.dumps({"watch": {str(n): 320 for n in range(sources)}}))
            until = time.monotonic() + 60
            while not ending.is_set() and time.monotonic() < until:
                if isinstance(wire.recv(timeout=20), bytes):
                    got["pictures"] += 1
                    wire.send('{"seen": 1}')
        ending.wait(0.5)


def _watch_video(port: int, source: int, ending: threading.Event, got: Counter[str]) -> None:
    """Watch a source as H.264, with a new connection now and then."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    while not ending.is_set():
        address = f"ws://127.0.0.1:{port}/api/v1/sources/{source}/video?width=320"
        with suppress(OSError, TimeoutError, WebSocketException), connect(address) as wire:
            until = time.monotonic() + 50
            while not ending.is_set() and time.monotonic() < until:
                if isinstance(wire.recv(timeout=20), bytes):
                    got["fragments of H.264"] += 1
                    wire.send("seen")
        ending.wait(0.5)


def _watch_stream(port: int, path: str, ending: threading.Event, got: Counter[str]) -> None:
    """Read an endless answer, with a new connection now and then."""
    while not ending.is_set():
        with suppress(OSError, HTTPException):
            address = f"http://127.0.0.1:{port}/api/v1{path}"
            with urllib.request.urlopen(address, timeout=20) as answer:
                until = time.monotonic() + 45
                while not ending.is_set() and time.monotonic() < until:
                    got[path] += len(answer.read(4096))
        ending.wait(0.5)


@contextmanager
def _viewers(run: LongRun, sources: int) -> Iterator[Counter[str]]:
    got: Counter[str] = Counter()
    ending = threading.Event()
    port = run.port
    threads = [
        threading.Thread(target=_watch_page, args=(port, sources, ending, got)),
        threading.Thread(target=_watch_stream, args=(port, "/grid.mjpeg?width=320", ending, got)),
        threading.Thread(target=_watch_stream, args=(port, "/results", ending, got)),
        threading.Thread(target=_watch_video, args=(port, 0, ending, got)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def long_run(minutes: float, kill_every: float | None, streams: int = 8) -> bool:
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        counted: Counter[str] = Counter()
        if kill_every is None:
            server = held.enter_context(closing(StreamServer(Served((320, 180), 3, streams))))
            run = LongRun(folder, [server.url(n) for n in range(streams)], None)
        else:
            clip = clips.make_clip(
                folder / "a.mkv", frames=3600, size=(320, 180), rate=3, gop=6
            ).path
            servers = [RtspServer(clip) for _ in range(streams)]
            for each in servers:
                held.callback(each.kill)
            run = LongRun(folder, [each.url for each in servers], None)
        held.callback(run.process.kill)
        run.wait()
        killing = threading.Event()
        if kill_every is not None:
            args = (servers, kill_every, killing, counted)
            thread = threading.Thread(target=_kill_at_random, args=args, daemon=True)
            thread.start()
            held.callback(killing.set)
        with _viewers(run, streams) as got:
            samples = _sampled(run, 60 * minutes)
        killing.set()
        rows = run.rows()
        process_end = datetime.now(UTC)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        good = _told_memory(samples, kill_every is None)
        print("viewers got", dict(got), "kills", dict(counted))
        frames = [row["frames_out"] for row in rows]
        print("frames delivered by source", frames, "retries", [row["retries"] for row in rows])
        print("recorded segments", [row["record"]["segments"] for row in rows])
        good = _recordings_are_whole(run.recordings, process_end) and good
        warned = Counter(
            line.split(": ", 2)[-1].strip() for line in run.log.read_text().splitlines()
        )
        print("said most often:", warned.most_common(6))
        return good


def _kill_at_random(
    servers: Sequence[Any], every: float, ending: threading.Event, counted: Counter[str]
) -> None:
    while not ending.wait(random.expovariate(1 / every)):
        server = random.choice(servers)
        server.kill()
        counted["kills"] += 1
        ending.wait(random.uniform(0, 8))
        server.start()


def _sampled(run: LongRun, seconds: float) -> list[tuple[float, float, int, int, float]]:
    """Each ten seconds: seconds, MB, descriptors, threads, and processor seconds."""
    begun = time.monotonic()
    samples = []
    while (passed := time.monotonic() - begun) < seconds:
        with suppress(OSError):
            run.ask("/metrics")
        cpu = run.seen.cpu_times()
        samples.append(
            (passed, run.seen.memory_info().rss / 1e6, run.seen.num_fds(), run.seen.num_threads(),
             cpu.user + cpu.system)
        )  # fmt: skip
        at, megabytes, descriptors, threads, used = samples[-1]
        print(
            f"{at:.0f} s {megabytes:.1f} MB {descriptors} descriptors {threads} threads "
            f"{used:.1f} s of CPU",
            flush=True,
        )
        if run.process.poll() is not None:
            raise SystemExit(f"the run ended:\n{run.log.read_text()[-2000:]}")
        time.sleep(max(0.0, SAMPLE_S * len(samples) - (time.monotonic() - begun)))
    return samples


def _told_memory(samples: Sequence[tuple[float, ...]], strict: bool) -> bool:
    """Print how flat memory, descriptors and threads are behind the first quarter."""
    warm = samples[len(samples) // 4 :]
    fifth = max(1, len(warm) // 5)
    first, last = warm[:fifth], warm[-fifth:]
    for column, what in ((1, "MB"), (2, "descriptors"), (3, "threads")):
        a, b = (statistics.median(one[column] for one in part) for part in (first, last))
        print(f"{what}: {a:.1f} then {b:.1f} ({100 * (b / a - 1):+.1f} %)")
    a, b = (statistics.median(one[1] for one in part) for part in (first, last))
    return b / a < (1.02 if strict else 1.05)


def _recordings_are_whole(folder: Path, end: datetime) -> bool:
    """Decode what the kill left behind, and see how much is missing.

    A server that is killed while it sends a picture leaves half of it: one picture of its segment
    does not decode, as it came.
    """
    lengths: defaultdict[str, list[float]] = defaultdict(list)
    broken, cut, missing = 0, 0, []
    newest: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.m[pk][4v]")):
        source = path.name.split("-")[0]
        try:
            times, failed = _decoded(path)
            cut += failed == 1
            if failed > 1:
                broken += 1
                print(f"{path.name}: {failed} pictures do not decode")
            lengths[source].append(times[-1] - times[0])
            newest[source] = path
        except (av.error.FFmpegError, IndexError) as error:
            if ".part" not in path.name:
                broken += 1
                print(f"{path.name} cannot be read: {error}")
    for source, path in newest.items():
        start = datetime.strptime(path.stem.split("-", 1)[1], "%Y%m%dT%H%M%S.%fZ")
        recorded = start.replace(tzinfo=UTC).timestamp() + lengths[source][-1]
        missing.append(end.timestamp() - recorded)
    files = sum(map(len, lengths.values()))
    print(
        f"after kill -9: {files} segments, {cut} with half a picture, {broken} that do not decode"
    )
    print("the last seconds that are missing, by source:", [round(one, 1) for one in missing])
    return not broken and files > 0


def _decoded(path: Path) -> tuple[list[float], int]:
    """Times of a file's pictures, and how many packets do not decode."""
    times, failed = [], 0
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                times += [frame.time for frame in packet.decode() if frame.time is not None]
            except av.error.InvalidDataError:
                failed += 1
    return times, failed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proof", choices=("age", "restarts", "soak", "killed"))
    parser.add_argument("--minutes", type=float, default=None, help="10 of age, 60 and 30 else")
    parser.add_argument("--only", default="", help="protocols of age, such as rtsp")
    parser.add_argument("--kills", type=int, default=500, help="of restarts")
    parser.add_argument("--every", type=float, default=15.0, help="s between kills")
    asked = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended
    print(f"{asked.proof}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", flush=True)
    if asked.proof == "age":
        good = age(asked.minutes or 10, asked.only)
    elif asked.proof == "restarts":
        good = restarts(asked.kills)
    else:
        killed = asked.proof == "killed"
        good = long_run(asked.minutes or (30 if killed else 60), asked.every if killed else None)
    print("held" if good else "NOT held")
    return 0 if good else 1


if __name__ == "__main__":
    # So that what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
