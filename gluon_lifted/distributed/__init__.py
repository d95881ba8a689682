"""Several hosts that train together, through MXNet's own parameter server (``dist_sync``).

All hosts hold the same weights and take the same steps. All they exchange are sums: `Cluster.all_sum` adds up
the arrays that the hosts pass, and gives every host the same result, bit for bit. Host 0 also runs two
small processes, MXNet's scheduler, which introduces the hosts to each other, and its server, which adds.

Host 0 listens on the port of the scheduler; the server and every host listen on a free port each. Nothing is
encrypted, and whoever reaches these ports can disturb the training: they belong on a private network.
"""

import lazy_loader

# Public names, listed in __init__.pyi, are imported when first used: `python -m` runs a module of this package.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
