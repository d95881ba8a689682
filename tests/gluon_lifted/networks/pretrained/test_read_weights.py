import os

import pytest

from gluon_lifted.errors import DataError
from gluon_lifted.networks.pretrained.read_weights import read_weights


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x08\x03", b"\x0a"])
def test_files_larger_than_any_weights_are_refused_unread(tmp_path, start):
    path = tmp_path / "net"
    path.write_bytes(start)
    os.truncate(path, (2 << 30) + 1)  # sparse: takes no disk
    with pytest.raises(DataError, match="net: has 2,147,483,649 bytes; expected weights of at most 2"):
        read_weights(path)
