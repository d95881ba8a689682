"""Hosts that are down, by a clock of the tests' own."""

from __future__ import annotations

import threading

import pytest

from serve_cli.sources.network.circuit_breaker import MAX_HOSTS, CircuitBreaker, HostDownError
from tests.serve_cli.sources.network.test_retry import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def passes(hosts: CircuitBreaker, host: str) -> bool:
    try:
        hosts.require_up(host)
    except HostDownError:
        return False
    return True


def test_host_is_down_after_failures_in_a_row(clock: Clock) -> None:
    hosts = CircuitBreaker(failures=3, rest_s=30, clock=clock)
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
    hosts = CircuitBreaker(failures=1, rest_s=30, clock=clock)
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
    hosts, passed = CircuitBreaker(failures=1, rest_s=30, clock=clock), list[bool]()
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
    hosts = CircuitBreaker(failures=1)
    for number in range(MAX_HOSTS + 1):
        hosts.failed(f"{number}:80")
    assert passes(hosts, "0:80")
    assert not passes(hosts, "1:80")
