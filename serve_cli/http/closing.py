"""Stop new connections before a port is closed."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress

SO_ATTACH_FILTER = 26  # linux/asm-generic/socket.h
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # a sock_filter of linux/filter.h: BPF_RET | BPF_K, keep 0 bytes


def stop_connections(listener: socket.socket) -> None:
    """Make Linux ignore requests to connect, so that none arrives between the last `accept` and `close`.

    It would be reset without an answer. A client tries again after a second and is then refused, or finds another
    server. The filter applies to all copies of the socket, so only the process that ends them all may call this. Open
    connections are not affected.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(DROP_ALL, len(DROP_ALL))
    with suppress(OSError):  # a sandbox may lack filters
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
