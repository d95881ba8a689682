"""Servers in processes of their own: start them, hold them, and read what they cost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
START_S, END_S = 120.0, 60.0
ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class ServerProcess:
    """A server and its children, in a process group of its own."""

    process: subprocess.Popen[bytes]
    port: int

    @classmethod
    def start(cls, command: list[str], port: int, probe: str) -> ServerProcess:
        """Start a server and wait until ``probe`` is answered, with whatever status below 500."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        server = cls(process, port)
        end = time.monotonic() + START_S
        while not server._answers(probe):
            if process.poll() is not None or time.monotonic() > end:
                server.end()
                raise SystemExit(f"{' '.join(command)} did not start.")
            time.sleep(0.2)
        return server

    def _answers(self, probe: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{probe}", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    def hold(self) -> None:
        """Stop it, so that it takes nothing from another one that is measured."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """Ids of all processes of the group."""
        folders = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
        return [pid for pid in folders if (fields := _stat(pid)) and int(fields[2]) == self.process.pid]

    def cpu_ms(self) -> float:
        """CPU time so far, of user and system."""
        return sum(TICK_MS * (int(fields[11]) + int(fields[12])) for pid in self.pids() if (fields := _stat(pid)))

    def resident_mb(self) -> float:
        """Resident memory of all processes; what they can share counts once, whoever else has it."""
        private, shared = 0, 0
        for pid in self.pids():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
            own = sizes["Private_Clean"] + sizes["Private_Dirty"]
            private, shared = private + own, max(shared, sizes["Rss"] - own)
        return (private + shared) * 1024 / 1e6

    def end(self) -> int | None:
        """End it as an operator would, and kill what is left."""
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # LitServe leaves processes behind
        self.process.wait()
        return self.process.returncode


def lifted_server(model: Path, *options: str) -> ServerProcess:
    """Start `lifted serve` with its defaults; only the address is given."""
    port = free_port()
    command = [sys.executable, "-m", "serve_cli.cli.main", "serve", str(model), "--port", str(port), *options]
    return ServerProcess.start(command, port, "/ready")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
