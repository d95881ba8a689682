"""Several machines that train together, through MXNet's own parameter server (``dist_sync``).

All machines hold the same weights and take the same steps. All they exchange are sums: `Cluster.all_sum` adds up
the arrays that the machines pass, and gives every machine the same result, bit for bit. Machine 0 also runs two
small processes, MXNet's scheduler, which introduces the machines to each other, and its server, which adds.

Machine 0 listens on the port of the scheduler; the server and every machine listen on a free port each. Nothing is
encrypted, and whoever reaches these ports can disturb the training: they belong on a private network.
"""

from gluon_lifted.distributed.collectives import ALONE, Cluster, MachinesDifferError
from gluon_lifted.distributed.join import join_cluster
from gluon_lifted.distributed.spec import ClusterSpec, Limits

__all__ = ["ALONE", "Cluster", "ClusterSpec", "Limits", "MachinesDifferError", "join_cluster"]
