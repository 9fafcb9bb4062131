"""The ring of packets: what it holds, what a tap has, and how much memory that takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from livevision.media import tap as tapping
from livevision.media.extras import Track
from livevision.media.packets import PacketRing
from livevision.media.tap import Part, Tap


def filled(
    ring: PacketRing, seconds: float, *, start: float = 0.0, gop: int = 25, size: int = 1000
) -> None:
    """Packets at 25 a second, looked at two seconds after they came."""
    for number in range(round(start * 25), round((start + seconds) * 25)):
        ring.put(number, number / 25, number / 25, key=number % gop == 0, size=size)
        ring.seen(number / 25 - 2)


def part(shift: float | None = 0.0) -> Part:
    return Part(object(), None, "h264", shift)


def test_it_holds_the_seconds_before_what_is_looked_at_and_no_more() -> None:
    ring = PacketRing(5.0)
    ring.begin(part(), live=False)
    for start in range(0, 4000, 100):
        filled(ring, 100, start=start)
        # 2 s that nobody has looked at yet, 5 s before, and the rest of a group of one second.
        assert 7 * 25_000 <= ring.size <= 8 * 25_000 + 1000
    assert ring.start is not None
    assert 3992 <= ring.start <= 3993


def test_a_tap_begins_with_a_key_frame_before_the_moment_and_goes_on() -> None:
    ring = PacketRing(5.0)
    ring.begin(part(), live=False)
    filled(ring, 60)
    tap = ring.tap(55.5)
    ring.put(1500, 60.0, 60.0, key=True, size=1000)
    ring.end()
    numbers = []
    while tap.look(0) is not None:
        numbers.append(tap.take().data)
    assert numbers == list(range(55 * 25, 1501))
    assert tap.ended


def test_where_the_memory_does_not_do_the_oldest_go() -> None:
    ring = PacketRing(60.0, most_bytes=1_000_000)
    ring.begin(part(), live=False)
    filled(ring, 300, size=10_000)
    assert ring.size <= 1_000_000
    # One group that is larger alone goes too, and those who write already have all of it.
    tap = ring.tap(299.0)
    filled(ring, 4, start=300, gop=100_000, size=10_000)
    assert ring.size <= 1_000_000
    assert not tap.broken
    filled(ring, 100, start=304, gop=100_000, size=10_000)
    assert tap.broken, "nobody takes from it, and it may not grow for ever"


def test_nothing_is_held_that_cannot_be_decoded() -> None:
    ring = PacketRing(5.0)
    ring.begin(part(), live=True)
    ring.put("middle of a group", 0.0, 0.0, key=False, size=10)
    assert ring.size == 0
    ring.put("key", 1.0, 1.0, key=True, size=10)
    ring.begin(part(), live=True)
    ring.put("of another connection", 0.0, 0.0, key=False, size=10)
    assert ring.size == 10


def test_a_source_that_nobody_looks_at_is_bounded_too() -> None:
    ring = PacketRing(5.0)
    ring.begin(part(None), live=True)
    for number in range(25 * 600):
        ring.put(number, number / 25, None, key=number % 25 == 0, size=1000)
    assert ring.size <= 37 * 25_000


def test_times_are_those_of_the_frames_once_one_is_known() -> None:
    ring = PacketRing(5.0)
    ring.begin(part(None), live=True)
    ring.put("a", 1000.0, 999.9, key=True, size=1)
    assert ring.start is None
    ring.place(1000.04, 7.04)
    assert ring.start == 7.0
    kept = ring.tap(0.0).look(0)
    assert kept is not None
    assert kept.decoded is not None
    assert abs(kept.decoded - 6.9) < 1e-6


# Sound -------------------------------------------------------------------------------------------


def sounding(ring: PacketRing, *, live: bool = False) -> None:
    sound = Track(1, "audio", "aac", object(), None)
    ring.begin(Part(object(), None, "h264", 0.0, sound), live=live)


def picture(ring: PacketRing, time: float, size: int = 1000) -> None:
    ring.put(time, time, time, key=time % 1 == 0, size=size)


def sound(ring: PacketRing, time: float, size: int = 100) -> None:
    ring.put_sound(f"{time:g}", time, size)


def taken(tap: Tap) -> list[object]:
    """What a tap has ready: times of pictures, and those of sound as text."""
    found = []
    while tap.look(0) is not None:
        found.append(tap.take().data)
    return found


def test_sound_and_pictures_come_by_time_however_they_are_stored() -> None:
    ring = PacketRing(5.0, sound=True)
    sounding(ring)
    sound(ring, 0.1)  # stored ahead of the picture
    for time in (0.0, 0.5, 1.0):
        picture(ring, time)
    tap = ring.tap(0.0)
    assert taken(tap) == [0.0, "0.1"], "a later picture waits for the sound before it"
    for time in (0.4, 0.9, 1.0, 1.1):
        sound(ring, time)
    picture(ring, 1.5)
    assert taken(tap) == ["0.4", 0.5, "0.9", 1.0, "1", "1.1"]
    ring.end()
    assert taken(tap) == [1.5]
    assert tap.ended


def test_a_tap_has_the_sound_from_its_first_key_frame_on() -> None:
    ring = PacketRing(5.0, sound=True)
    sounding(ring)
    for time in (0.0, 0.5, 1.0, 1.5):
        sound(ring, time + 0.2)
        picture(ring, time)
    tap = ring.tap(1.2)
    ring.end()
    first = tap.look(0)
    assert first is not None
    following = tap.sound_from(first)
    assert following is not None
    assert following.data == "1.2"
    assert taken(tap) == [1.0, "1.2", 1.5, "1.7"]


def test_sound_that_does_not_come_is_not_awaited() -> None:
    ring = PacketRing(60.0, sound=True)
    sounding(ring)
    for number in range(21):
        picture(ring, number / 2)
    tap = ring.tap(0.0)
    first = tap.look(0)
    assert first is not None
    assert tap.sound_from(first) is None
    assert taken(tap) == [number / 2 for number in range(21)]
    sound(ring, 9.9)
    picture(ring, 10.5)
    assert taken(tap) == ["9.9"], "once it comes it is"
    ring.begin(part(), live=False)
    picture(ring, 0.0)
    assert taken(tap) == [10.5, 0.0], "but not that of a connection which has ended"


def test_a_live_source_that_stands_still_holds_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(tapping, "clock", SimpleNamespace(monotonic=lambda: now[0]))
    ring = PacketRing(5.0, sound=True)
    sounding(ring, live=True)
    tap = ring.tap(0.0)
    picture(ring, 0.0)
    sound(ring, 0.01)
    picture(ring, 0.03)
    assert taken(tap) == [0.0, "0.01"]
    now[0] += 1.5
    assert taken(tap) == []
    now[0] += 1.0
    assert taken(tap) == [0.03]


def test_sound_counts_as_memory() -> None:
    ring = PacketRing(60.0, most_bytes=1_000_000, sound=True)
    sounding(ring)
    for number in range(25 * 60):
        picture(ring, number / 25, size=100)
        sound(ring, number / 25 + 0.01, size=2000)
        assert ring.size <= 1_000_000
    assert ring.start is not None
    assert 40 < ring.start < 59, "the oldest went"
    ring.seen(59.9)
    tap = ring.tap(0.0)
    assert taken(tap)[0] == ring.start
    ring.end()
    assert ring.size == 0


def test_sound_alone_is_bounded_too() -> None:
    ring = PacketRing(5.0, most_bytes=100_000, sound=True)
    sounding(ring, live=True)
    for number in range(10_000):
        sound(ring, number / 50)
        assert ring.size <= 100_000
