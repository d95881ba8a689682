"""Pauses, Retry-After and hosts that are down, by a clock of the tests' own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from serve_cli.sources.hosts import MAX_HOSTS, HostDownError, Hosts
from serve_cli.sources.patience import (
    Patience,
    TimeIsUpError,
    retry_after,
    seconds_left,
    time_limit,
)


class Clock:
    """Stands still but for pauses, which it notes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    return Patience(60, attempts=4, pause_s=1, clock=clock, sleep=clock.sleep, jitter=lambda low, high: high)


def failing(clock: Clock, times: int, seconds: float = 0) -> Callable[[float], float]:
    """Fails so often, each time after some seconds; then returns what was left."""
    left = [times]

    def attempt(seconds_left: float) -> float:
        clock.now += seconds
        if left[0]:
            left[0] -= 1
            raise OSError(f"{left[0]} failures more")
        return seconds_left

    return attempt


def test_pauses_double_and_attempts_end(clock: Clock, patience: Patience) -> None:
    assert patience.persist(failing(clock, 3), lambda _: 0.0) == 60 - 1 - 2 - 4
    assert clock.pauses == [1, 2, 4]
    with pytest.raises(OSError, match="0 failures more"):
        patience.persist(failing(clock, 4), lambda _: 0.0)


def test_pauses_have_full_jitter(clock: Clock, patience: Patience) -> None:
    bounds: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 4

    replace(patience, jitter=jitter).persist(failing(clock, 3), lambda _: 0.0)
    assert bounds == [(0, 1), (0, 2), (0, 4)]
    assert clock.pauses == [0.25, 0.5, 1]


def test_what_will_not_pass_is_tried_once(clock: Clock, patience: Patience) -> None:
    with pytest.raises(OSError, match="2 failures more"):
        patience.persist(failing(clock, 3), lambda _: None)
    assert clock.pauses == []


def test_server_is_obeyed_within_the_total(clock: Clock, patience: Patience) -> None:
    assert patience.persist(failing(clock, 7), lambda _: 5.0) == 60 - 7 * 6  # more often than its attempts
    assert clock.pauses == [6] * 7
    with pytest.raises(OSError, match="2 failures more"):  # at once: there is no time for it
        patience.persist(failing(clock, 3), lambda _: 60.0)
    assert clock.pauses == [6] * 7


def test_total_covers_attempts_and_pauses(clock: Clock, patience: Patience) -> None:
    with pytest.raises(OSError, match="1 failures more"):
        patience.persist(failing(clock, 4, seconds=19), lambda _: 0.0)
    assert clock.now <= 60
    clock.now = 0
    with pytest.raises(TimeIsUpError, match="not complete after 0 s"):
        patience.within(0).persist(failing(clock, 0), lambda _: 0.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "-7"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "99 Foo 2025"}, 0),
        ({"Retry-After": "Wed, 01 Jan 2025 00:00:30 GMT", "Date": "Wed, 01 Jan 2025 00:00:00 GMT"}, 30),
        ({"Retry-After": "Wed, 01 Jan 2025 00:00:30 -0000", "Date": "Wed, 01 Jan 2025 00:00:00 GMT"}, 30),
        ({"Retry-After": "Wed, 01 Jan 2025 00:00:00 GMT", "Date": "Wed, 01 Jan 2025 00:00:30 GMT"}, 0),
        ({"Retry-After": "Wed, 01 Jan 1997 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_of_any_length_and_by_the_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1735689600.0)  # 2025-01-01
    assert retry_after({"Retry-After": "9" * 5000}) > 1e18
    assert retry_after({"Retry-After": "Wed, 01 Jan 2025 00:01:00 GMT"}) == 60


def test_time_limit_is_that_of_its_thread() -> None:
    assert seconds_left() is None
    with time_limit(1000):
        assert 0 < (seconds_left() or 0) <= 1000
        with time_limit(0):
            assert seconds_left() == 0
        others: list[float | None] = []
        thread = threading.Thread(target=lambda: others.append(seconds_left()))
        thread.start()
        thread.join()
        assert others == [None]
        assert "--image-timeout" in str(TimeIsUpError(3))
    assert seconds_left() is None


def passes(hosts: Hosts, host: str) -> bool:
    try:
        hosts.require_up(host)
    except HostDownError:
        return False
    return True


def test_host_is_down_after_failures_in_a_row(clock: Clock) -> None:
    hosts = Hosts(failures=3, rest_s=30, clock=clock)
    for _ in range(2):
        hosts.failed("a:80")
    hosts.answered("a:80")
    for _ in range(2):
        hosts.failed("a:80")
    assert passes(hosts, "a:80")
    hosts.failed("a:80")
    assert hosts.is_down("a:80")
    with pytest.raises(HostDownError, match=r"^a:80 is down.*--retry-failed"):
        hosts.require_up("a:80")
    assert passes(hosts, "a:81")


def test_one_attempt_is_let_through_now_and_then(clock: Clock) -> None:
    hosts = Hosts(failures=1, rest_s=30, clock=clock)
    hosts.failed("a:80")
    for _ in range(3):  # whether the attempt before failed or never came back
        clock.now += 29
        assert not passes(hosts, "a:80")
        clock.now += 1
        assert [passes(hosts, "a:80") for _ in range(3)] == [True, False, False]
        assert hosts.is_down("a:80")
    hosts.answered("a:80")
    assert [passes(hosts, "a:80") for _ in range(3)] == [True] * 3


def test_one_of_many_threads_is_let_through(clock: Clock) -> None:
    hosts, passed = Hosts(failures=1, rest_s=30, clock=clock), list[bool]()
    hosts.failed("a:80")
    clock.now = 30
    begin = threading.Barrier(16)

    def ask() -> None:
        begin.wait()
        passed.append(passes(hosts, "a:80"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(passed) == [False] * 15 + [True]


def test_no_more_hosts_are_remembered_than_the_limit() -> None:
    hosts = Hosts(failures=1)
    for number in range(MAX_HOSTS + 1):
        hosts.failed(f"{number}:80")
    assert passes(hosts, "0:80")
    assert not passes(hosts, "1:80")
