"""Event files, read back byte by byte as TensorBoard reads them."""

import contextlib
import struct
import sys

import pytest

from gluon_lifted.errors import MissingPackageError, RunError
from gluon_lifted.logs import tensorboard
from gluon_lifted.logs.tensorboard import EventLog

event_file_writer = pytest.importorskip("tensorboardX.event_file_writer", reason="tensorboardX is not installed")
event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="tensorboardX is not installed")


def masked_crc32c(data):
    """CRC-32C bit by bit (Castagnoli's polynomial, reflected), rotated and offset as TFRecord files have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events_of(path):
    """Every event of a file; checks lengths and checksums."""
    data, events = path.read_bytes(), []
    while data:
        header, size = data[:8], struct.unpack("<Q", data[:8])[0]
        body = data[12 : 12 + size]
        assert len(body) == size
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(header)
        assert struct.unpack("<I", data[12 + size : 16 + size])[0] == masked_crc32c(body)
        events.append(event_pb2.Event.FromString(body))
        data = data[16 + size :]
    return events


def shown(folder):
    """Steps and values as TensorBoard shows them: the start of a session drops what came before from its step on."""
    steps = []
    for path in sorted(folder.iterdir()):
        for event in events_of(path):
            if event.session_log.status == event_pb2.SessionLog.START:
                steps = [pair for pair in steps if pair[0] < event.step]
            if event.HasField("summary"):
                steps.append((event.step, {value.tag: value.simple_value for value in event.summary.value}))
    return steps


def test_the_checksum_of_the_reader_is_crc32c():
    crc = masked_crc32c(b"123456789") - 0xA282EAD8 & 0xFFFFFFFF
    assert (crc << 15 | crc >> 17) & 0xFFFFFFFF == 0xE3069283  # the check value of CRC-32C


def test_values_come_back(tmp_path):
    with EventLog(tmp_path / "new" / "events", start=0) as log:
        log.write(1, {"loss": 2.5, "recall@1": 0.25})
        log.write(2, {"loss": 1.5})
    assert shown(tmp_path / "new" / "events") == [(1, {"loss": 2.5, "recall@1": 0.25}), (2, {"loss": 1.5})]


def test_the_file_is_one_that_tensorboard_reads(tmp_path):
    with EventLog(tmp_path, start=0) as log:
        log.write(1, {"loss": 2.5})
    (path,) = tmp_path.iterdir()
    assert ".out.tfevents." in path.name
    events = events_of(path)
    assert events[0].file_version == "brain.Event:2"
    times = [event.wall_time for event in events]
    assert times == sorted(times)
    assert times[0] > 1.7e9  # seconds since 1970


def test_a_resumed_run_shows_no_iteration_twice(tmp_path):
    for start, stop in ((0, 7), (4, 9), (4, 6), (5, 10)):
        with EventLog(tmp_path, start) as log:
            for iteration in range(start + 1, stop + 1):
                log.write(iteration, {"loss": 100.0 * start + iteration})
    expected = [1.0, 2, 3, 4, 405, 506, 507, 508, 509, 510]
    assert shown(tmp_path) == [(step, {"loss": value}) for step, value in enumerate(expected, start=1)]


def test_values_that_are_not_finite_are_left_out(tmp_path):
    with EventLog(tmp_path, start=0) as log:
        log.write(1, {"loss": float("nan"), "learning_rate": 0.5, "waiting": float("inf")})
    assert shown(tmp_path) == [(1, {"learning_rate": 0.5})]


def test_what_is_written_reaches_the_disk_after_some_seconds(tmp_path, monkeypatch):
    with EventLog(tmp_path, start=0) as log:
        (path,) = tmp_path.iterdir()
        assert len(events_of(path)) == 2  # the version of the format, and the mark
        log.write(1, {"loss": 1.0})
        assert shown(tmp_path) == []
        monkeypatch.setattr(tensorboard, "FLUSH_SECONDS", 0.0)
        log.write(2, {"loss": 2.0})
        assert [step for step, _ in shown(tmp_path)] == [1, 2]


def test_an_error_inside_still_closes_the_file(tmp_path):
    with contextlib.suppress(KeyError), EventLog(tmp_path, start=0) as log:
        log.write(1, {"loss": 1.0})
        raise KeyError
    assert [step for step, _ in shown(tmp_path)] == [1]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "events").write_text("")
    with pytest.raises(RunError, match="events: cannot be written"):
        EventLog(tmp_path / "events", start=0)


@pytest.mark.parametrize("method", ["write_event", "flush"])
def test_a_full_disk(tmp_path, monkeypatch, method):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with EventLog(tmp_path, start=0) as log, monkeypatch.context() as patch:
        patch.setattr(event_file_writer.EventsWriter, method, fail)
        patch.setattr(tensorboard, "FLUSH_SECONDS", 0.0)
        with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)\. Make room"):
            log.write(1, {"loss": 1.0})
        patch.setattr(event_file_writer.EventsWriter, "close", fail)
        with pytest.raises(RunError, match="No space left"):
            log.__exit__()


def test_without_tensorboardx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[tensorboard\]"):
        EventLog(tmp_path / "events", start=0)
    assert not (tmp_path / "events").exists()
