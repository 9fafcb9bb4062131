"""The one clock of a file's streams: starts, falls, leaps, and sound that stays in step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from livevision.media.clock import Clock

LENGTH = 0.04


def pictures(clock: Clock[Any], start: float, count: int = 50) -> list[float]:
    """Times of pictures in a row, on the new clock."""
    times = [start + n * LENGTH for n in range(count)]
    return [time + clock.picture(time, time, LENGTH) for time in times]


def sounds(clock: Clock[Any], start: float, count: int, stream: int = 1) -> list[float]:
    """Times of packets of sound in a row, on the new clock, as far as they are let through."""
    found: list[float] = []
    for n in range(count):
        time = start + n * LENGTH
        found += moved(clock.beside(stream, time, LENGTH, time, steady=True))
    return found


def moved(packets: Iterator[tuple[float, float]]) -> list[float]:
    return [time + shift for time, shift in packets]


def steps(times: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(times)]


def test_the_start_becomes_zero() -> None:
    clock: Clock[Any] = Clock(1.48, jumps=True)
    assert pictures(clock, 1.48)[0] == pytest.approx(0)
    assert sounds(clock, 1.46, 2) == pytest.approx([-0.02, 0.02])
    assert clock.breaks == 0


@pytest.mark.parametrize("start", [1.48, 2.9, 3603.0, 95443.0])
def test_pictures_go_on_without_a_gap_where_the_clock_breaks(start: float) -> None:
    clock: Clock[Any] = Clock(1.48, jumps=True)
    times = pictures(clock, 1.48) + pictures(clock, start)
    assert steps(times) == pytest.approx([LENGTH] * 99)
    assert clock.breaks == 1


def test_a_pause_is_no_break() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    times = pictures(clock, 0.0) + pictures(clock, 9.0)
    assert times[50] == pytest.approx(9.0)


def test_an_hour_of_nothing_stays_where_a_format_has_a_clock_of_its_own() -> None:
    clock: Clock[Any] = Clock()
    assert (pictures(clock, 0.0) + pictures(clock, 3600.0))[50] == pytest.approx(3600.0)
    live: Clock[Any] = Clock(jumps=True, leaps=False)
    assert (pictures(live, 0.0) + pictures(live, 3600.0))[50] == pytest.approx(3600.0)


def test_pictures_out_of_order_are_no_break() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    shown = [0.0, 0.16, 0.08, 0.04, 0.12, 0.32, 0.24, 0.2, 0.28]
    for number, time in enumerate(shown):
        assert clock.picture(time, (number - 2) * LENGTH, LENGTH) == 0
    undated: Clock[Any] = Clock()
    assert [undated.picture(time, None, LENGTH) for time in shown] == [0.0] * 9
    assert clock.breaks == undated.breaks == 0


@pytest.mark.parametrize("ahead", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("start", [1.5, 3600.0])
def test_sound_stays_in_step_whichever_of_the_two_breaks_first(ahead: float, start: float) -> None:
    """Packets of sound lie ``ahead`` of the pictures in the file."""
    clock: Clock[Any] = Clock(1.5, jumps=True)
    packets = [(1.5 + n * LENGTH, n * LENGTH) for n in range(50)]
    packets += [(start + n * LENGTH, 2 + n * LENGTH) for n in range(50)]
    in_file = [(true, "picture", time) for time, true in packets]
    in_file += [(true - ahead, "sound", time) for time, true in packets]
    shown, heard = [], []
    for _, kind, time in sorted(in_file):
        if kind == "picture":
            shown.append(time + clock.picture(time, time, LENGTH))
            heard += moved(clock.waiting())
        else:
            heard += moved(clock.beside(1, time, LENGTH, time, steady=True))
    heard += moved(clock.waiting(last=True))
    expected = [n * LENGTH for n in range(100)]
    assert shown == pytest.approx(expected)
    assert heard == pytest.approx(expected)


def test_sound_that_lags_behind_the_pictures_belongs_to_its_own_part() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    pictures(clock, 0.0)
    assert sounds(clock, 0.0, 40)[-1] == pytest.approx(39 * LENGTH)
    pictures(clock, 0.0, 10)
    # Ten packets of the first part come late, then the second part begins.
    assert sounds(clock, 40 * LENGTH, 10)[-1] == pytest.approx(49 * LENGTH)
    assert sounds(clock, 0.0, 5) == pytest.approx([2 + n * LENGTH for n in range(5)])


def test_a_part_without_sound_is_skipped() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    pictures(clock, 0.0)
    sounds(clock, 0.0, 50)
    pictures(clock, 0.0)
    pictures(clock, 0.0, 5)
    assert sounds(clock, 0.0, 3) == pytest.approx([4.0, 4.04, 4.08])


def test_sound_that_breaks_alone_goes_on_where_it_was() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    pictures(clock, 0.0)
    sounds(clock, 0.0, 50)
    heard = sounds(clock, 7200.0, 200)
    assert heard[0] == pytest.approx(2.0)
    assert steps(heard) == pytest.approx([LENGTH] * (len(heard) - 1))
    assert len(heard + moved(clock.waiting(last=True))) == 200


def test_a_silence_is_no_break() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    sounds(clock, 0.0, 10)
    pictures(clock, 0.0, 500)
    assert sounds(clock, 15.0, 2) == pytest.approx([15.0, 15.04])


def test_pictures_that_are_rare_beside_sound_are_no_break() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    pictures(clock, 0.0, 1)
    sounds(clock, 0.0, 375)
    assert pictures(clock, 15.0, 1) == pytest.approx([15.0])


def test_texts_are_put_beside_the_pictures_that_they_came_with() -> None:
    clock: Clock[Any] = Clock(jumps=True)
    pictures(clock, 0.0)
    assert moved(clock.beside(2, 1.0, 1.0, 1.0, steady=False)) == pytest.approx([1.0])
    pictures(clock, 0.0)
    assert moved(clock.beside(2, 1.5, 1.0, 1.5, steady=False)) == pytest.approx([3.5])
