"""Map our parameter names to the names in files of other frameworks."""

from __future__ import annotations

from typing import Any

from gluon_lifted.mx import gluoncv_network
from gluon_lifted.networks.backbones import gluoncv_name
from gluon_lifted.networks.googlenet import caffe_name
from gluon_lifted.twins.names import older_twin_name, twin_name

Names = dict[str, str]  # our name -> the file's


def caffe_names(net: Any) -> Names:
    """Map parameters of our GoogLeNet to blobs of ``bvlc_googlenet``: ``"conv1/7x7_s2[0]"``."""
    names = {}
    for ours in net.backbone.collect_params():
        layer, blob = caffe_name(ours.removeprefix(net.backbone.prefix))
        names[ours] = f"{layer}[{blob}]"
    return names


def onnx_names(net: Any) -> Names:
    """Map parameters of our GoogLeNet to initializers of the ONNX model zoo's: ``"conv1/7x7_s2_w_0"``.

    Caffe2 named them when it converted ``bvlc_googlenet``: w and b for a layer's blobs.
    """
    names = {}
    for ours in net.backbone.collect_params():
        layer, blob = caffe_name(ours.removeprefix(net.backbone.prefix))
        names[ours] = f"{layer}_{'wb'[blob]}_0"
    return names


def twin_names(net: Any, backbone: str, file_names: set[str]) -> Names:
    """Map all parameters to torchvision's or timm's same network; the embedding layer's to our own files.

    Parameters
    ----------
    file_names : set of str
        Names in the file. An older name is chosen where the file has it.
    """
    names = {ours: twin_name(ours, backbone) for ours in net.collect_params()}
    older = {ours: older_twin_name(theirs, backbone) for ours, theirs in names.items()}
    return {ours: older[ours] if older[ours] in file_names else theirs for ours, theirs in names.items()}


def mxnet_names(net: Any, backbone: str, file_names: set[str]) -> Names:
    """Map parameters of any network to a ``.params`` file, in whichever naming scheme of MXNet the file uses.

    `HybridBlock.export` and `Module` write a parameter's own name after ``arg:`` or ``aux:``. `Block.save_parameters`
    writes its path in the network. The file can come from our network, or from GluonCV's with its classifier.

    Parameters
    ----------
    file_names : set of str
        Names in the file. The scheme that matches most of them is chosen.
    """
    own = {name: name for name in net.collect_params()}
    attributes = {parameter.name: attribute for attribute, parameter in net._collect_params_with_prefix().items()}
    schemes = [own, attributes, _gluoncv_names(backbone, file_names)]
    prefixed = {name.removeprefix("arg:").removeprefix("aux:"): name for name in file_names}
    schemes = [{ours: prefixed.get(theirs, theirs) for ours, theirs in scheme.items()} for scheme in schemes]
    return max(schemes, key=lambda scheme: sum(theirs in file_names for theirs in scheme.values()))


def _gluoncv_names(backbone: str, file_names: set[str]) -> Names:
    """Map to GluonCV's full names, such as ``resnetv10_conv0_weight``, with the process-wide counter of the file."""
    name = gluoncv_name(backbone)
    if name is None:
        return {}
    network = gluoncv_network(name)
    ends = {
        attribute: parameter.name.removeprefix(network.prefix)
        for attribute, parameter in network._collect_params_with_prefix().items()
    }
    first = next(iter(ends.values()))
    starts = [full.removesuffix(first) for full in file_names if full.endswith(first)]
    start = min(starts, key=len, default="").removeprefix("arg:")
    return {attribute: start + end for attribute, end in ends.items()}
