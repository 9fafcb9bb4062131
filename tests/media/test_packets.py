"""The ring of packets: what it holds, what a tap has, and how much memory that takes."""

from __future__ import annotations

from livevision.media.packets import PacketRing, Part


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
