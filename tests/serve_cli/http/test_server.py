"""The command in processes of its own, under load."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from tests.serve_cli.http.asgi import samples
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import write_model

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self").exists(), reason="lists processes in /proc")]
SECONDS = 60
COMMAND = [sys.executable, "-m", "serve_cli.cli.main", "serve"]


class Server:
    def __init__(self, process, log):
        self.process, self.log, self.port = process, log, 0

    def wait_for(self, text):
        end = time.monotonic() + SECONDS
        while text not in (content := self.log.read_text()):
            assert self.process.poll() is None, content
            assert time.monotonic() < end, content
            time.sleep(0.02)
        return content

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": "image/jpeg"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def workers(self):
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextmanager
def serving(model, *options):
    log = model.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "serve_cli.cli.main",
                "serve",
                str(model),
                "--port",
                "0",
                "--no-access-log",
                *options,
            ],
            stderr=file,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
    server = Server(process, log)
    try:
        address = server.wait_for("serving").split("http://127.0.0.1:")[1]
        server.port = int(address.split()[0])
        server.wait_for("ready")
        yield server
    finally:
        process.kill()
        process.wait()


class Load:
    """Clients that post one image after another; some keep their connections, others open new ones."""

    def __init__(self, port, jpeg, clients=6):
        self.port, self.jpeg, self.statuses, self.failures, self.stop = port, jpeg, [], [], False
        self.threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, keeps):
        connection = self._connection()
        try:
            while not self.stop:
                try:
                    connection.connect()
                except ConnectionRefusedError:  # a balancer would go elsewhere: nothing was sent
                    return
                while self._post(connection) and keeps and not self.stop:
                    pass
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
        finally:
            connection.close()

    def _connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def _post(self, connection):
        """Post the image; return whether the server keeps the connection."""
        connection.request("POST", "/embed", self.jpeg, {"Content-Type": "image/jpeg"})
        reply = connection.getresponse()
        reply.read()
        self.statuses.append(reply.status)
        return not reply.will_close

    def join(self):
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


@pytest.fixture
def jpeg(tmp_path):
    return photo(tmp_path / "photo.jpg").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_drains_without_a_failed_request(model, jpeg, workers):
    with serving(model, "--workers", str(workers)) as server:
        load = Load(server.port, jpeg)
        while len(load.statuses) < 50:
            time.sleep(0.01)
        status = server.end()
        load.join()
    assert status == 143
    assert load.failures == []
    assert set(load.statuses) == {200}


def test_sighup_reloads_under_load_or_keeps_the_old_model(model, jpeg):
    with serving(model) as server:
        load = Load(server.port, jpeg, clients=2)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("lifted: reloaded.")
        content = model.read_bytes()
        model.write_bytes(b"not a model")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("lifted: not reloaded, the old model and index stay: ")
        model.write_bytes(content)
        load.stop = True
        load.join()
        assert server.ask("POST", "/embed", jpeg)[0] == 200
        assert server.end(signal.SIGINT) == 130
    assert load.failures == []
    assert set(load.statuses) == {200}


def test_workers_are_replaced_and_their_metrics_added_up(model, jpeg):
    with serving(model, "--workers", "2") as server:
        while len(server.workers()) < 2 or server.log.read_text().count("ready") < 2:
            time.sleep(0.02)
        first = server.workers()
        for _ in range(40):  # a connection each, so both workers get some
            assert server.ask("POST", "/embed", jpeg)[0] == 200
        counted = samples(server.ask("GET", "/metrics")[1])
        assert counted['lifted_requests_total{route="/embed",status="200"}'] == 40
        assert counted['lifted_images_total{outcome="embedded"}'] == 40
        os.kill(first[0], signal.SIGKILL)
        server.wait_for("starting another")
        while server.log.read_text().count("ready") < 3:
            time.sleep(0.02)
        assert len(server.workers()) == 2
        assert first[1] in server.workers()
        for _ in range(10):
            assert server.ask("POST", "/embed", jpeg)[0] == 200
        counted = samples(server.ask("GET", "/metrics")[1])
        assert counted['lifted_requests_total{route="/embed",status="200"}'] == 50  # those of the dead one count
        write_model(model)
        server.process.send_signal(signal.SIGHUP)
        while server.log.read_text().count("reloaded") < 2:
            time.sleep(0.02)
        assert server.end() == 143


def test_workers_that_cannot_start_end_the_command(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    command = [*COMMAND, str(tmp_path / "broken.onnx"), "--port", "0", "--workers", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 1
    assert "broken.onnx: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_memory_stays_below_the_limit_whatever_is_sent(model, tmp_path):
    limit = 450_000_000
    large = photo(tmp_path / "large.png", width=3000, height=3000).read_bytes()  # 90 MB while it is decoded
    with serving(model, "--max-memory", str(limit), "--max-body", "20MB", "--timeout", "100") as server:
        loads = [Load(server.port, content, clients=3) for content in (large, b"\0" * 19_000_000)]
        while min(len(load.statuses) for load in loads) < 4:
            time.sleep(0.05)
        for load in loads:
            load.stop = True
            load.join()
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
        assert server.end() == 143
    assert loads[0].failures == loads[1].failures == []
    assert set(loads[0].statuses) <= {200, 429}
    assert set(loads[1].statuses) <= {422, 429}
    assert 200 in loads[0].statuses
    assert peak < limit
