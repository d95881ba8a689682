from .collectives import ALONE as ALONE
from .collectives import Cluster as Cluster
from .collectives import HostsDifferError as HostsDifferError
from .parameter_server import join_cluster as join_cluster
from .spec import ClusterSpec as ClusterSpec
from .spec import Limits as Limits
