import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gluon_lifted.distributed import (
    ALONE,
    ClusterSpec,
    Limits,
    join_cluster,
)
from gluon_lifted.errors import ConfigError, RunError

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("host_worker.py")
needs_linux = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")


@pytest.fixture(scope="module")
def mxnet():
    return pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """A worker process, and what it said: one fact a line."""

    def __init__(self, spec, limits, action, *rest):
        command = [sys.executable, str(WORKER), json.dumps(spec), json.dumps(limits), action, *rest]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        self.facts = {}

    def read_until(self, fact):
        for line in self.process.stdout:
            self.facts |= json.loads(line)
            if fact in self.facts:
                return self.facts[fact]
        raise AssertionError(f"ended without {fact}: {self.process.stderr.read()}")

    def end(self):
        """Exit status, once it has ended by itself."""
        said, self.stderr = self.process.communicate(timeout=60)
        for line in said.splitlines():
            self.facts |= json.loads(line)
        return self.process.returncode


@contextlib.contextmanager
def hosts(number, action, *rest, limits=None, **changes):
    """``number`` hosts on loopback; none of their processes may be left at the end."""
    port = free_port()
    limits = {"silence": 3, "join": 30, "reach": 20, "stall": 30} | (limits or {})
    started = [
        Host(
            {"hosts": number, "rank": rank, "scheduler": f"127.0.0.1:{port}", **changes.get(f"host_{rank}", {})},
            limits,
            action,
            *rest,
        )
        for rank in range(number)
    ]
    try:
        yield started
    finally:
        for host in started:
            host.process.kill()
            with host.process:  # closes the pipes
                pass
    left = [pid for host in started for pid in [host.process.pid, *host.facts.get("children", [])] if not gone(pid)]
    assert left == []


def gone(pid, seconds=5.0):
    """Whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":  # nobody reaps orphans here
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_sums_of_one_host_are_its_own(mxnet):
    array = mxnet.nd.array([1, 2, 3])
    with join_cluster(None) as cluster:
        assert cluster is ALONE
        assert (cluster.size, cluster.index, cluster.is_writer) == (1, 0, True)
        assert cluster.all_sum("any", array) is array
        assert cluster.all_sum_many("any", [array])[0] is array
        assert cluster.any("flag", flag=True) is True
        assert cluster.any("flag", flag=False) is False
        cluster.barrier()
        cluster.require_same("data set", "photos")
        state = {"weights": array.asnumpy()}
        assert cluster.broadcast(state) == state
    assert "DMLC_ROLE" not in os.environ


@needs_linux
@pytest.mark.parametrize("number", [1, 2])
def test_sums_equal_numpy_bit_for_bit(mxnet, number):
    with hosts(number, "sums") as started:
        assert [host.end() for host in started] == [0] * number, [host.stderr for host in started]
        for host in started:
            assert host.facts["largest"] == 0
            assert host.facts["late"] == 0
            assert host.stderr == ""
        assert [len(host.facts["children"]) for host in started] == [2] + [0] * (number - 1)


@needs_linux
def test_all_that_follows_from_sums_on_three_hosts(mxnet, tmp_path):
    with hosts(3, "derived", str(tmp_path / "planted")) as started:
        assert [host.end() for host in started] == [0, 0, 0], [host.stderr for host in started]
        for rank, host in enumerate(started):
            assert (host.facts["index"], host.facts["size"], host.facts["is_writer"]) == (rank, 3, rank == 0)
            assert host.facts["text"].startswith("host 2 and host 0 differ in data set. Run the same command")
            assert host.facts["state"].startswith("host 1 and host 0 differ in network. ")
            assert host.facts["integers"] == "wrong: expected float32 or float64, found int32"
            assert host.facts["half"] == "wrong: expected float32 or float64, found float16"
            assert host.facts["unpickled"] is False


@needs_linux
def test_ctrl_c_on_one_host_stops_all_after_the_same_iteration(mxnet):
    with hosts(2, "until_ctrl_c") as started:
        for host in started:
            host.read_until("ready")
        time.sleep(0.5)
        os.killpg(started[0].process.pid, signal.SIGINT)  # as a terminal does: to children in the group too
        assert [host.end() for host in started] == [0, 0], [host.stderr for host in started]
        assert started[0].facts["turns"] == started[1].facts["turns"] > 0
        assert [host.stderr for host in started] == ["", ""]


@needs_linux
def test_ctrl_c_ends_a_host_that_waits_for_another(mxnet):
    with hosts(2, "stall") as started:
        started[0].read_until("children")
        time.sleep(1)
        os.kill(started[0].process.pid, signal.SIGINT)
        assert started[0].end() == 130
        assert "KeyboardInterrupt" in started[0].stderr
        for pid in started[0].facts["children"]:
            assert gone(pid)


def assert_told_of_silence(host):
    assert host.end() == 1
    assert "RunError" in host.facts["kinds"]
    assert "for 3 s. " in host.facts["error"]
    assert host.facts["error"].endswith("Start all hosts again with --resume.")


@needs_linux
def test_host_0_that_is_killed_ends_the_others_with_an_error(mxnet):
    with hosts(2, "until_killed") as started:
        for host in started:
            host.read_until("children")
        started[0].process.kill()
        assert all(gone(pid) for pid in started[0].facts["children"])
        assert_told_of_silence(started[1])


@needs_linux
def test_error_on_one_host_ends_the_others(mxnet):
    with hosts(2, "fail") as started:
        assert started[1].end() == 1
        assert started[1].facts["error"] == "photo.jpg: cannot be read."
        assert_told_of_silence(started[0])


@needs_linux
def test_server_that_dies_is_named(mxnet):
    with hosts(2, "until_killed") as started:
        _, server = started[0].read_until("children")
        os.kill(server, signal.SIGKILL)
        assert [host.end() for host in started] == [1, 1]
        assert started[0].facts["error"].startswith("the server has ended (status -9). ")
        assert "no sign of life" in started[1].facts["error"]


@needs_linux
def test_host_that_does_not_come_to_a_sum_is_waited_for_no_longer_than_the_limit(mxnet):
    with hosts(2, "stall", limits={"stall": 8}) as started:  # longer than silence: signs of life come meanwhile
        assert started[0].end() == 1
        assert started[0].facts["error"].startswith("another host did not reach 'barrier' within 8 s. ")


@needs_linux
def test_hosts_that_never_start_are_waited_for_no_longer_than_the_limit(mxnet):
    with hosts(1, "nothing", limits={"join": 3}, host_0={"hosts": 2}) as (host,):
        assert host.end() == 1
        assert host.facts["error"].startswith("not all 2 hosts joined at 127.0.0.1:")
        assert host.facts["error"].endswith("within 3 s. Start the same command on each host, with --rank 0 to 1.")


@needs_linux
@pytest.mark.parametrize(("number", "changes"), [(3, {"host_2": {"rank": 1}}), (2, {"host_1": {"hosts": 4}})])
def test_hosts_that_differ_in_rank_or_number_are_refused(mxnet, number, changes):
    with hosts(number, "nothing", **changes) as started:
        assert [host.end() for host in started] == [1] * number, [host.stderr for host in started]
        assert all("ConfigError" in host.facts["kinds"] for host in started), [host.facts for host in started]
        assert all(host.facts["error"].startswith("the hosts differ in --num-hosts, or two") for host in started)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ((0, 0, "a:1"), "num-hosts is 0; expected 1 to 1024"),
        ((1025, 0, "a:1"), "num-hosts is 1025"),
        ((2, 2, "a:1"), "rank is 2; expected 0 to 1, different on each host"),
        ((2, -1, "a:1"), "rank is -1"),
        *(
            ((2, 0, text), "expected HOST:PORT")
            for text in ("", "a", ":1", "a:", "a:0", "a:65536", "a:-1", "a:1x", "a:²", "::1:9091", "a:99999999999")
        ),
    ],
)
def test_spec_refuses_what_cannot_be(spec, message):
    with pytest.raises(ConfigError, match=message):
        ClusterSpec(*spec)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70])
def test_unknown_host_is_named(host):
    with (
        pytest.raises(ConfigError, match=r"host name cannot be resolved .*Give its IP address"),
        join_cluster(ClusterSpec(2, 1, f"{host}:9091")),
    ):
        pass


def test_scheduler_that_does_not_answer_is_named_within_the_limit():
    port = free_port()
    with (
        pytest.raises(RunError, match=rf"127\.0\.0\.1:{port}: cannot be reached within 0\.5 s\. Start host 0"),
        join_cluster(ClusterSpec(2, 1, f"127.0.0.1:{port}"), Limits(reach=0.5)),
    ):
        pass


def test_host_0_refuses_an_address_where_it_cannot_listen():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", f"192.0.2.1:{free_port()}"):  # the second is nobody's
            with (
                pytest.raises(ConfigError, match=rf"{address}: host 0 cannot listen there"),
                join_cluster(ClusterSpec(2, 0, address)),
            ):
                pass
