"""A run with a page whose recording loses its disk; in a mount namespace of its own.

    unshare -Urm python -m tests.web.unplugged FOLDER

A file system is bound to FOLDER/recordings, taken away while it is written to, and given back.
Prints what page and metrics say, as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.web.running import LIVE, Page, page, wait_for


def main() -> None:
    folder = Path(sys.argv[1])
    disk, place = folder / "disk", folder / "recordings"
    for each in (disk, place):
        each.mkdir()
    mount("-t", "tmpfs", "tmpfs", str(disk))
    mount("--bind", str(disk), str(place))
    told: dict[str, Any] = {}
    with page(
        sources={"door": {"uri": LIVE.format("160x120", 10)}},
        record="continuous", recordings=str(place), segment=1,
    ) as one:  # fmt: skip
        wait_for(lambda: record(one) and record(one)["segments"] > 0)
        told["before"] = up(one)
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        told["error"] = wait_for(lambda: record(one)["error"])
        told["unplugged"] = wait_for(lambda: [up(one)] if up(one) == 0 else None)[0]
        seen = one.source(0)["frames_out"]
        told["goes on"] = bool(wait_for(lambda: one.source(0)["frames_out"] > seen + 10))
        told["healthy"] = one.ask("GET", "/healthz").status
        told["list"] = one.api("GET", "/segments").status
        told["left in the empty folder"] = sorted(p.name for p in place.iterdir())
        mount("--bind", str(disk), str(place))
        wait_for(lambda: record(one)["error"] is None)
        before = record(one)["segments"]
        wait_for(lambda: record(one)["segments"] > before)
        told["plugged in"] = up(one)
    found = sorted(place.rglob("*.mp4"))
    told["segments"] = len(found)
    print(json.dumps(told))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def record(one: Page) -> Any:
    return one.source(0)["record"]


def up(one: Page) -> float:
    found = re.search(
        r'^livevision_record_up{source="door"} (\S+)$',
        one.ask("GET", "/metrics").body.decode(),
        re.M,
    )
    assert found is not None
    return float(found[1])


if __name__ == "__main__":
    main()
