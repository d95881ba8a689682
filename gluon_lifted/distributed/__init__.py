"""Train on several hosts through MXNet's parameter server (``dist_sync``).

All hosts hold the same weights and take the same steps. They only exchange sums: `Cluster.all_sum` adds the arrays
of all hosts and returns the same bits on every host. Host 0 also runs two small processes: MXNet's scheduler, which
connects the hosts, and its server, which adds.

Host 0 listens on the scheduler's port. The server and every host listen on a free port each. Traffic is neither
encrypted nor authenticated, so use a private network.
"""

import lazy_loader

# Public names, listed in __init__.pyi, are imported when first used: `python -m` runs a module of this package
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
