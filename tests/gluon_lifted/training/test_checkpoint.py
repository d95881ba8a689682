"""Checkpoints: whole or not there; the newest whole one is used."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from gluon_lifted.errors import RunError
from gluon_lifted.training.checkpoint import checkpoints, load_checkpoint, restore_checkpoint, save_checkpoint


def state(value):
    return {"weight:a.b": np.full((40, 50), value, np.float32), "updates": np.array(value, np.float64)}


@pytest.fixture
def run(tmp_path):
    for iteration in (5, 10, 15):
        save_checkpoint(tmp_path, iteration, state(iteration))
    return tmp_path


def load(run):
    restored, notes = [], []
    iteration = load_checkpoint(run, restored.append, notes.append)
    return iteration, restored[-1], notes


def test_the_newest_two_are_kept_and_the_newest_is_loaded(run):
    assert [path.name for path in checkpoints(run)] == ["00000010.npz", "00000015.npz"]
    iteration, loaded, notes = load(run)
    assert (iteration, notes) == (15, [])
    for name, array in state(15).items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


def test_chosen_checkpoints_are_kept_besides_the_newest_two(run):
    for iteration in (20, 25, 30):
        save_checkpoint(run, iteration, state(iteration), (10, 15))
    assert [int(path.stem) for path in checkpoints(run)] == [10, 15, 25, 30]
    save_checkpoint(run, 35, state(35), (15, 15))
    assert [int(path.stem) for path in checkpoints(run)] == [15, 30, 35]


def test_a_chosen_checkpoint_is_restored_or_its_damage_reported(run):
    restored = []
    assert restore_checkpoint(run, 10, restored.append) is None
    assert restored[0]["updates"] == 10
    checkpoints(run)[0].write_bytes(b"")
    assert "not a zip file" in restore_checkpoint(run, 10, restored.append)
    assert "No such file" in restore_checkpoint(run, 5, restored.append)


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "text"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(run, damage):
    newest = checkpoints(run)[-1]
    content = bytearray(newest.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1  # within the data of the large array
    newest.write_bytes({"truncated": content[:-100], "one bit": content, "empty": b"", "text": b"no"}[damage])
    iteration, loaded, notes = load(run)
    assert iteration == 10
    assert loaded["updates"] == 10
    assert len(notes) == 1
    assert "00000015.npz: damaged" in notes[0]
    assert "Trying the previous checkpoint" in notes[0]


def test_a_checkpoint_of_another_network_is_passed_over(run):
    def restore(loaded):
        if loaded["updates"] == 15:
            raise ValueError("weight is (3,), expected (4,)")

    notes = []
    assert load_checkpoint(run, restore, notes.append) == 10
    assert "expected (4,)" in notes[0]


def test_pickles_are_never_loaded(run):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code of a checkpoint was run",))

    np.savez(checkpoints(run)[-1], bomb=np.array([Bomb()], dtype=object))
    iteration, _, notes = load(run)
    assert iteration == 10
    assert "pickle" in notes[0]


def test_a_file_that_is_no_archive_of_such_arrays_is_passed_over(run):
    newest = checkpoints(run)[-1]
    with newest.open("wb") as file:
        np.save(file, np.zeros(3))
    assert load(run)[0] == 10
    np.savez_compressed(newest, bomb=np.zeros(1_000_000))
    iteration, _, notes = load(run)
    assert iteration == 10
    assert "8,000,128 bytes unpacked" in notes[0]
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999,), }\n"
    with zipfile.ZipFile(newest, "w") as archive:
        archive.writestr("huge.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert load(run)[0] == 10


def test_nothing_to_resume_from(tmp_path, run):
    with pytest.raises(RunError, match="no checkpoint to resume from"):
        load(run / "nowhere")
    for path in checkpoints(run):
        path.write_bytes(b"PK")
    with pytest.raises(RunError, match=r"its checkpoints \(2\) are all damaged"):
        load(run)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from gluon_lifted.training.checkpoint import save_checkpoint
from gluon_lifted.errors import RunError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # a write past it fails, half done, as on a full disk
try:
    save_checkpoint(Path(sys.argv[1]), 20, {"weight:a": np.zeros(50_000)})
except RunError as error:
    print(error)
"""


def test_a_write_that_fails_leaves_the_earlier_checkpoints(run):
    before = {path: path.read_bytes() for path in checkpoints(run)}
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(run)], capture_output=True, text=True, check=True, timeout=60
    )
    assert process.stderr == ""
    assert "00000020.npz: cannot be written" in process.stdout
    assert "The previous checkpoint, 00000015.npz, is intact" in process.stdout
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before
    assert load(run)[0] == 15


def test_arrays_are_stored_as_they_are(run):
    with zipfile.ZipFile(checkpoints(run)[-1]) as archive:
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())


@pytest.mark.slow
def test_any_flipped_bit_is_passed_over(run):
    newest = checkpoints(run)[-1]
    whole = newest.read_bytes()
    for position in [*range(60), *range(len(whole) - 250, len(whole))]:  # the archive's own words
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            newest.write_bytes(damaged)
            assert load(run)[0] in (15, 10)
