"""The control of latency, fed by simulated runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from livevision.runtime.pace.latency import STRIDES, LatencyControl, Level

COSTS = (1.0, 0.64, 0.36, 0.25)


class Simulation:
    """A live source, a net that takes one frame at a time, and the control between them.

    Args:
        control: What is tried.
        net: Seconds that the net takes at full size, by time.
        rest: Seconds of all other work on a frame.
        rate: Frames per second of the source.
        opening: Seconds that another size takes to open.
    """

    def __init__(
        self,
        control: LatencyControl,
        net: Callable[[float], float],
        rest: float = 0.008,
        rate: float = 30.0,
        opening: float = 0.7,
        seed: int = 1,
    ) -> None:
        self.control, self.net, self.rest, self.rate = control, net, rest, rate
        self.opening = opening
        self.random = random.Random(seed)
        self.changes: list[tuple[float, Level]] = []
        self.late: list[tuple[float, bool]] = []

    def run(self, seconds: float, target: float) -> None:
        control, free, opens, number = self.control, 0.0, None, 0
        while (captured := number / self.rate) < seconds:
            number += 1
            if number % control.level.stride:
                continue
            # The freshest frame waits for the net; one that a newer one would overtake is dropped.
            begin = max(captured, free)
            if begin - captured > control.level.stride / self.rate:
                continue
            work = self.net(begin) * COSTS[control.level.size] + self.rest
            work *= self.random.uniform(0.95, 1.1)
            free = now = begin + work
            control.delivered(now, now - captured)
            self.late.append((now, now - captured > target))
            if opens is not None and now >= opens:
                assert control.asked is not None
                control.offer(control.asked)
                opens = None
            if (chosen := control.decide(now, work)) is not None:
                self.changes.append((now, chosen))
            if control.asked is not None and opens is None:
                opens = now + self.opening

    def share_late(self, after: float) -> float:
        late = [was for when, was in self.late if when > after]
        return sum(late) / len(late)


@pytest.mark.parametrize("net", [0.02, 0.04, 0.06, 0.1, 0.14, 0.3])
@pytest.mark.parametrize("target", [0.05, 0.1])
def test_latency_comes_below_the_target_and_stays_there(net: float, target: float) -> None:
    control = LatencyControl(target, COSTS)
    run = Simulation(control, lambda _: net)
    run.run(600, target)
    reachable = 0.008 + net * COSTS[-1] < target * 0.9
    if reachable:
        assert run.share_late(after=30) < 0.05, run.changes
        assert not control.exhausted
    else:
        assert control.exhausted
        assert control.level == Level(len(COSTS) - 1, STRIDES[-1])


def test_a_fast_net_is_left_alone() -> None:
    control = LatencyControl(0.1, COSTS)
    run = Simulation(control, lambda _: 0.02)
    run.run(120, 0.1)
    assert run.changes == []
    assert control.level == Level(0, 1)


@pytest.mark.parametrize("net", [0.041, 0.05, 0.058, 0.07, 0.09, 0.12])
def test_it_does_not_oscillate(net: float) -> None:
    control = LatencyControl(0.06, COSTS)
    run = Simulation(control, lambda _: net)
    run.run(1800, 0.06)
    first, second = (
        sum(1 for when, _ in run.changes if start <= when < start + 900) for start in (0, 900)
    )
    # Trials of a faster level grow rarer: 10, 20, 40 .. 300 seconds apart, two changes each.
    assert first <= 40, run.changes
    assert second <= 16, run.changes
    gaps = [b[0] - a[0] for a, b in pairwise(run.changes)]
    assert all(gap >= 2.0 for gap in gaps)


def test_it_recovers_once_the_machine_is_free_again() -> None:
    control = LatencyControl(0.06, COSTS)
    run = Simulation(control, lambda now: 0.15 if 20 <= now < 60 else 0.02)
    run.run(240, 0.06)
    worst = min(run.changes, key=lambda change: -change[1].size)
    assert 20 < worst[0] < 40
    assert worst[1].size > 0
    assert control.level == Level(0, 1)
    assert run.share_late(after=200) == 0
    # Up comes no sooner than there is room, and one notch at a time.
    ups = [when for (when, _), (_, before) in zip(run.changes[1:], run.changes, strict=False)
           if when > 60]  # fmt: skip
    assert all(b - a >= 5 for a, b in pairwise(ups))


def test_waiting_calls_for_stride_and_work_for_a_smaller_input() -> None:
    waits, works = LatencyControl(0.05, COSTS), LatencyControl(0.05, COSTS)
    for frame in range(80):
        for control in (waits, works):
            control.delivered(frame / 30, 0.07)
    assert waits.decide(2.7, work=0.03) == Level(0, 2)
    assert works.decide(2.7, work=0.068) is None
    assert works.asked == 1, "the size is not at hand yet"
    works.offer(1)
    assert works.decide(2.7, work=0.068) == Level(1, 1)


def test_while_a_size_is_on_its_way_frames_that_wait_get_a_longer_stride() -> None:
    control = LatencyControl(0.05, COSTS)
    for frame in range(80):
        control.delivered(frame / 30, 0.07)
    assert control.decide(2.7, work=0.068) is None
    assert not control.exhausted
    assert control.decide(2.7, work=0.03) == Level(0, 2)
    assert control.asked == 1


def test_a_size_that_cannot_be_had_is_passed_over() -> None:
    control = LatencyControl(0.05, COSTS)
    for frame in range(80):
        control.delivered(frame / 30, 0.07)
    assert control.decide(2.7, work=0.068) is None
    control.refuse(1)
    assert control.decide(2.7, work=0.068) is None
    assert control.asked == 2
    control.offer(2)
    assert control.decide(2.7, work=0.068) == Level(2, 1)


def test_without_other_sizes_the_stride_is_what_is_left() -> None:
    control = LatencyControl(0.05, (1.0,))
    now = 0.0
    seen = []
    while not control.exhausted:
        now += 1 / 30
        control.delivered(now, 0.2)
        if control.decide(now, work=0.19) is not None:
            seen.append(control.level.stride)
        assert now < 60
    assert seen == list(STRIDES[1:])


def test_frames_that_do_not_meet_are_not_thinned_out() -> None:
    control = LatencyControl(0.05, (1.0,))
    for frame in range(80):
        control.delivered(frame / 10, 0.07)
    assert control.decide(8.0, work=0.02) is None, "ten frames a second are at work a fifth of it"
    assert control.exhausted


def test_one_slow_frame_in_a_window_changes_nothing() -> None:
    control = LatencyControl(0.05, COSTS)
    for frame in range(300):
        now = frame / 30
        control.delivered(now, 0.5 if frame % 60 == 30 else 0.04)
        assert control.decide(now, 0.03) is None
    assert control.percentile() == 0.04


def test_frames_of_before_the_change_do_not_count() -> None:
    control = LatencyControl(0.05, COSTS)
    for frame in range(80):
        control.delivered(frame / 30, 0.07)
    assert control.decide(2.7, work=0.03) == Level(0, 2)
    for _ in range(80):
        control.delivered(2.71, 0.07)  # captured at 2.64
    assert control.percentile() is None
