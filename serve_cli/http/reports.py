"""What a server process reports to the process that supervises it, one byte each."""

READY = b"r"
RELOADED = b"R"  # by a request, so the other processes must reload, too
