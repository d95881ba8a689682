"""Pauses, time limits and Retry-After, by a clock of the tests' own."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from serve_cli.sources.network.retry import RetryPolicy, TimeIsUpError, retry_after, seconds_left, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable


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
def policy(clock: Clock) -> RetryPolicy:
    return RetryPolicy(60, attempts=4, pause_s=1, clock=clock, sleep=clock.sleep, jitter=lambda low, high: high)


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


def test_pauses_double_and_attempts_end(clock: Clock, policy: RetryPolicy) -> None:
    assert policy.run(failing(clock, 3), lambda _: 0.0) == 60 - 1 - 2 - 4
    assert clock.pauses == [1, 2, 4]
    with pytest.raises(OSError, match="0 failures more"):
        policy.run(failing(clock, 4), lambda _: 0.0)


def test_pauses_have_full_jitter(clock: Clock, policy: RetryPolicy) -> None:
    bounds: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 4

    replace(policy, jitter=jitter).run(failing(clock, 3), lambda _: 0.0)
    assert bounds == [(0, 1), (0, 2), (0, 4)]
    assert clock.pauses == [0.25, 0.5, 1]


def test_what_will_not_pass_is_tried_once(clock: Clock, policy: RetryPolicy) -> None:
    with pytest.raises(OSError, match="2 failures more"):
        policy.run(failing(clock, 3), lambda _: None)
    assert clock.pauses == []


def test_server_is_obeyed_within_the_total(clock: Clock, policy: RetryPolicy) -> None:
    assert policy.run(failing(clock, 7), lambda _: 5.0) == 60 - 7 * 6  # more often than its attempts
    assert clock.pauses == [6] * 7
    with pytest.raises(OSError, match="2 failures more"):  # at once: there is no time for it
        policy.run(failing(clock, 3), lambda _: 60.0)
    assert clock.pauses == [6] * 7


def test_total_covers_attempts_and_pauses(clock: Clock, policy: RetryPolicy) -> None:
    with pytest.raises(OSError, match="1 failures more"):
        policy.run(failing(clock, 4, seconds=19), lambda _: 0.0)
    assert clock.now <= 60
    clock.now = 0
    with pytest.raises(TimeIsUpError, match="not complete after 0 s"):
        policy.within(0).run(failing(clock, 0), lambda _: 0.0)


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
