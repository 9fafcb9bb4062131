"""The link between two stages."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from livevision.runtime.links import Channel, Closed


class Drops(list[tuple[object, str]]):
    def __call__(self, item: object, cause: str) -> None:
        self.append((item, cause))


def test_items_come_out_in_order_messages_among_them() -> None:
    link: Channel[object] = Channel(3, Drops())
    link.tell("opened")
    link.put(1, 0, freshest=False)
    link.put(2, 0, freshest=False)
    link.tell("ended")
    assert [link.get() for _ in range(4)] == ["opened", 1, 2, "ended"]


def test_a_waiting_link_loses_nothing_and_holds_no_more_than_its_capacity() -> None:
    drops = Drops()
    link: Channel[object] = Channel(2, drops)
    written: list[int] = []

    def write() -> None:
        for number in range(50):
            link.put(number, 0, freshest=False)
            written.append(number)
        link.close()

    writer = threading.Thread(target=write)
    writer.start()
    read: list[object] = []
    while len(read) < 50:
        time.sleep(0.0005)
        assert len(written) <= len(read) + 3  # two in the link, one just read or being written
        read.append(link.get(timeout=5))
    with pytest.raises(Closed):
        link.get(timeout=5)
    writer.join()
    assert read == list(range(50))
    assert not drops


def test_a_live_source_keeps_only_its_newest_frame() -> None:
    drops = Drops()
    link: Channel[object] = Channel(4, drops)
    link.tell("opened")
    for number in range(5):
        link.put(number, 0, freshest=True)
    assert [link.get(), link.get()] == ["opened", 4]
    assert drops == [(n, "late") for n in range(4)]


def test_a_newer_frame_takes_the_place_of_the_older_one() -> None:
    drops = Drops()
    link: Channel[object] = Channel(1, drops)
    link.put("a0", 0, freshest=True)
    link.put("b0", 1, freshest=True)
    link.put("a1", 0, freshest=True)
    assert [link.get(), link.get()] == ["a1", "b0"]
    assert drops == [("a0", "late")]


def test_messages_are_never_dropped() -> None:
    link: Channel[object] = Channel(1, Drops())
    link.put("frame", 0, freshest=True)
    link.tell("another source ended")
    link.put("newer", 0, freshest=True)
    assert [link.get(), link.get()] == ["newer", "another source ended"]


def test_sources_take_turns_however_fast_they_are() -> None:
    link: Channel[object] = Channel(1, Drops())
    read: list[object] = []
    for turn in range(60):
        for source, frames in enumerate((9, 1, 3, 5)):
            for _ in range(frames):
                link.put(source, source, freshest=True)
        if turn:
            read.append(link.get())
    assert [read.count(source) for source in range(4)] == pytest.approx([59 / 4] * 4, abs=1)


@pytest.mark.parametrize("cameras", [1, 5])
def test_a_file_has_its_turn_among_live_sources(cameras: int) -> None:
    link: Channel[object] = Channel(3, Drops())
    over = threading.Event()

    def read_file() -> None:
        while not over.is_set():
            try:
                link.put("file", 0, freshest=False)
            except Closed:
                return

    def watch(camera: int) -> None:
        while not over.wait(0.001):
            link.put(camera, camera, freshest=True)

    threads = [threading.Thread(target=read_file)]
    threads += [threading.Thread(target=watch, args=(n,)) for n in range(1, cameras + 1)]
    for thread in threads:
        thread.start()
    read: list[object] = []
    while len(read) < 40 * (cameras + 1):
        time.sleep(0.005)  # a reader slower than any of them
        read.append(link.get(timeout=5))
    over.set()
    for thread in threads[1:]:
        thread.join()
    link.abort()
    threads[0].join()
    shares = [read.count(who) for who in ("file", *range(1, cameras + 1))]
    assert shares == pytest.approx([40] * (cameras + 1), rel=0.2)


def test_writers_that_wait_get_room_in_their_order() -> None:
    link: Channel[object] = Channel(1, Drops())

    def write(source: int) -> None:
        with contextlib.suppress(Closed):
            while True:
                link.put(source, source, freshest=False)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    read = []
    while len(read) < 200:
        time.sleep(0.001)  # time for every writer to wait again
        read.append(link.get(timeout=5))
    link.abort()
    for writer in writers:
        writer.join()
    assert [read.count(n) for n in range(4)] == pytest.approx([50] * 4, rel=0.2)


def test_close_lets_the_reader_finish() -> None:
    link: Channel[object] = Channel(2, Drops())
    link.put(1, 0, freshest=False)
    link.close()
    with pytest.raises(Closed):
        link.put(2, 0, freshest=False)
    assert link.get() == 1
    with pytest.raises(Closed):
        link.get()


def test_abort_wakes_everyone_and_counts_what_it_drops() -> None:
    drops = Drops()
    link: Channel[object] = Channel(1, drops)
    link.tell("opened")
    link.put("kept", 0, freshest=False)
    outcome: list[str] = []

    def write() -> None:
        try:
            link.put("waiting", 0, freshest=False)
        except Closed:
            outcome.append("closed")

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    link.abort()
    writer.join(5)
    assert outcome == ["closed"]
    assert drops == [("kept", "stopped")]  # the message is no frame
    with pytest.raises(Closed):
        link.get()


def test_get_gives_up_after_its_time() -> None:
    link: Channel[object] = Channel(1, Drops())
    with pytest.raises(TimeoutError):
        link.get(timeout=0.01)


def test_a_link_of_no_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Channel(0, Drops())
