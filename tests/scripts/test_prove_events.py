"""The proofs of scripts/prove_events at a small scale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_no_event_is_missing_if_broker_and_server_fail(tmp_path: Path, script: Any) -> None:
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")
    told = script.delivery(tmp_path, 300, lives=(0.5, 2.0))
    assert told["broker killed"] >= 1
    assert told["server failed"] > 5
    assert told["mqtt missing"] == told["webhook missing"] == 0
    assert told["webhook repeats"] > 0, "answers were lost"


def test_no_stored_event_is_lost_by_kill_9(tmp_path: Path, script: Any) -> None:
    told = script.kills(tmp_path, 3)
    assert told["stored"] >= told["acknowledged"] >= 3


def test_a_proof_fails_if_events_are_missing_or_out_of_order(script: Any) -> None:
    made = [script.event(n) for n in range(8)]
    heard = [each.to_dict() for each in made]
    assert script.judged(made, [*heard, heard[3]]) == {"missing": 0, "repeats": 1}
    with pytest.raises(AssertionError, match="1 are missing"):
        script.judged(made, [*heard[:3], *heard[4:]])
    with pytest.raises(AssertionError, match="out of order"):
        script.judged(made, [heard[4], *heard[:4], *heard[5:]])
    with pytest.raises(AssertionError, match="one id"):
        script.judged(made, [*heard, {**heard[2], "value": 7}])


FULL = """
import resource, sys, time
from pathlib import Path
from livevision.events.store import EventStore
from tests.events.making import event
store = EventStore(Path(sys.argv[1]))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
events = [event(n) for n in range(2000)]
for each in events:
    store.add(each)
full = store.count()
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
time.sleep(1)
store.add(event(2000))
kept = [stored.id for stored in store.after(0, 3000)]
assert kept[:2000] == [each.id for each in events]
store.close()
print(full, len(kept), store.lost)
"""


def test_a_temporarily_full_disk_loses_no_event(tmp_path: Path) -> None:
    # A file that may not grow refuses writes as a full disk does.
    command = [sys.executable, "-c", FULL, str(tmp_path / "e.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    full, kept, lost = map(int, done.stdout.split())
    assert full < 1000, "the disk was full before half of them"
    assert (kept, lost) == (2001, 0)
    assert done.stderr.count("cannot write events") == 1, "and that was told once"
