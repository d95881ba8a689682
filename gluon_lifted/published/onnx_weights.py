"""The ONNX model zoo's ``bvlc_googlenet`` (BSD-3-Clause), converted by Caffe2: the network that the paper starts from.

The hash is in the zoo's ``ONNX_HUB_MANIFEST.json`` (``model_sha``). The zoo on GitHub is no longer maintained. The
Hugging Face hub has a mirror of it.
"""

from __future__ import annotations

from gluon_lifted.published.weights import PublishedWeights, WebFile, evaluation

FILE = "validated/vision/classification/inception_and_googlenet/googlenet/model/googlenet-9.onnx"
HOSTS = (
    "https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main/",
    "https://media.githubusercontent.com/media/onnx/models/main/",
)
SHA256 = "bd979d99d10d9acf84c5a67252bcae4992bf4e1afdab046cb0ea370e6f01ee38"


def onnx_weights() -> list[PublishedWeights]:
    """List the weights of `GoogLeNet`. Caffe's ``train_val.prototxt`` stretches images to 256 px and crops 224."""
    from gluon_lifted.images import Preprocessing

    caffe = evaluation(224, 256, colors="caffe")
    preprocessing = Preprocessing(256, 224, caffe.channels, caffe.mean, caffe.std, fit="stretch")
    locations = tuple(WebFile(host + FILE, SHA256) for host in HOSTS)
    return [PublishedWeights("onnx", "googlenet-9", preprocessing, locations)]
