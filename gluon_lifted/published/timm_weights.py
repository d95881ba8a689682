"""timm's weights, from the ``default_cfgs`` of ``timm/models/*.py``, 1.0.31; those under a free license.

They are on the Hugging Face hub as ``timm/ARCHITECTURE.TAG``. Many are also ``.pth`` files of older releases, whose
names end with the first 8 digits of their SHA-256.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gluon_lifted.published.weights import HubFile, PublishedWeights, WebFile, evaluation
from gluon_lifted.twins.twin_networks import TIMM

GITHUB = "https://github.com/huggingface/pytorch-image-models/releases/download/"
FIRST, RSB, TPU = f"{GITHUB}v0.1-weights/", f"{GITHUB}v0.1-rsb-weights/", f"{GITHUB}v0.1-tpu-weights/"
GLUON = "https://github.com/rwightman/pytorch-pretrained-gluonresnet/releases/download/v0.1/"
TORCHVISION = "https://download.pytorch.org/models/"


class Entry(NamedTuple):
    """A row of the table: timm's tag, the older release, and what differs from timm's usual evaluation."""

    tag: str
    release: str = ""
    crop: int | None = None
    crop_pct: float = 0.875
    interpolation: str = "bicubic"
    colors: str = "imagenet"
    on_hub: bool = True


# Revisions and hashes that others have published; the rest could not be looked up on the hub
PINNED = {
    "resnet18.a1_in1k": (
        "491b427b45c94c7fb0e78b5474cc919aff584bbf",
        "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612",
    ),
    "resnet50.a1_in1k": (
        "767268603ca0cb0bfe326fa87277f19c419566ef",
        "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
    ),
    "densenet121.tv_in1k": (
        "f0d0f2698a02cb133b09d48396db6e1e46fe9f3b",
        "c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358",
    ),
}
# Architecture -> entries. The first is what --weights imagenet takes: GluonCV's own weights where timm has them.
ENTRIES = {
    "inception_v3": (
        Entry("gluon_in1k"),
        Entry("tf_adv_in1k", colors="inception"),
        Entry("tf_in1k", colors="inception"),
        Entry("tv_in1k", TORCHVISION + "inception_v3_google-1a9a5a14.pth", colors="inception"),
    ),
    "resnet18": (
        Entry("gluon_in1k", GLUON + "gluon_resnet18_v1b-0757602b.pth"),
        Entry("a1_in1k", RSB + "resnet18_a1_0-d63eafa0.pth", crop_pct=0.95),
        Entry("a2_in1k", RSB + "resnet18_a2_0-b61bd467.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnet18_a3_0-40c531c8.pth", crop=160, crop_pct=0.95),
        Entry("tv_in1k", TORCHVISION + "resnet18-f37072fd.pth", interpolation="bilinear"),
    ),
    "resnet34": (
        Entry("gluon_in1k", GLUON + "gluon_resnet34_v1b-c6d82d59.pth"),
        Entry("a1_in1k", RSB + "resnet34_a1_0-46f8f793.pth", crop_pct=0.95),
        Entry("a2_in1k", RSB + "resnet34_a2_0-82d47d71.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnet34_a3_0-a20cabb6.pth", crop=160, crop_pct=0.95),
        Entry("bt_in1k", FIRST + "resnet34-43635321.pth"),
        Entry("ra4_e3600_r224_in1k", crop_pct=0.9, colors="inception"),
        Entry("tv_in1k", TORCHVISION + "resnet34-b627a593.pth", interpolation="bilinear"),
    ),
    "resnet50": (
        Entry("gluon_in1k", GLUON + "gluon_resnet50_v1b-0ebe02e2.pth"),
        Entry("ra_in1k", FIRST + "resnet50_ra-85ebb6e5.pth"),
        Entry("a1_in1k", RSB + "resnet50_a1_0-14fe96d1.pth", crop_pct=0.95),
        Entry("a1h_in1k", RSB + "resnet50_a1h2_176-001a1197.pth", crop=176, crop_pct=0.9),
        Entry("a2_in1k", RSB + "resnet50_a2_0-a2746f79.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnet50_a3_0-59cae1ef.pth", crop=160, crop_pct=0.95),
        Entry("am_in1k", FIRST + "resnet50_am-6c502b37.pth"),
        Entry("b1k_in1k", RSB + "resnet50_b1k-532a802a.pth", crop_pct=0.95),
        Entry("b2k_in1k", RSB + "resnet50_b2k-1ba180c1.pth", crop_pct=0.95),
        Entry("bt_in1k", FIRST + "rw_resnet50-86acaeed.pth"),
        Entry("c1_in1k", RSB + "resnet50_c1-5ba5e060.pth", crop_pct=0.95),
        Entry("c2_in1k", RSB + "resnet50_c2-d01e05b2.pth", crop_pct=0.95),
        Entry("d_in1k", RSB + "resnet50_d-f39db8af.pth", crop_pct=0.95),
        Entry("ram_in1k", FIRST + "resnet50_ram-a26f946b.pth"),
        Entry("tv2_in1k", TORCHVISION + "resnet50-11ad3fa6.pth", crop=176, interpolation="bilinear"),
        Entry("tv_in1k", TORCHVISION + "resnet50-0676ba61.pth", interpolation="bilinear"),
    ),
    "resnet101": (
        Entry("gluon_in1k", GLUON + "gluon_resnet101_v1b-3b017079.pth"),
        Entry("a1_in1k", RSB + "resnet101_a1_0-cdcb52a9.pth", crop_pct=0.95),
        Entry("a1h_in1k", RSB + "resnet101_a1h-36d3f2aa.pth", crop_pct=0.95),
        Entry("a2_in1k", RSB + "resnet101_a2_0-6edb36c7.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnet101_a3_0-1db14157.pth", crop=160, crop_pct=0.95),
        Entry("tv2_in1k", TORCHVISION + "resnet101-cd907fc2.pth", crop=176, interpolation="bilinear"),
        Entry("tv_in1k", TORCHVISION + "resnet101-63fe2227.pth", interpolation="bilinear"),
    ),
    "resnet152": (
        Entry("gluon_in1k", GLUON + "gluon_resnet152_v1b-c1edb0dd.pth"),
        Entry("a1_in1k", RSB + "resnet152_a1_0-2eee8a7a.pth", crop_pct=0.95),
        Entry("a1h_in1k", RSB + "resnet152_a1h-dc400468.pth", crop_pct=0.95),
        Entry("a2_in1k", RSB + "resnet152_a2_0-b4c6978f.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnet152_a3_0-134d4688.pth", crop=160, crop_pct=0.95),
        Entry("tv2_in1k", TORCHVISION + "resnet152-f82ba261.pth", crop=176, interpolation="bilinear"),
        Entry("tv_in1k", TORCHVISION + "resnet152-394f9c45.pth", interpolation="bilinear"),
    ),
    "resnet50c": (Entry("gluon_in1k", GLUON + "gluon_resnet50_v1c-48092f55.pth"),),
    "resnet101c": (Entry("gluon_in1k", GLUON + "gluon_resnet101_v1c-1f26822a.pth"),),
    "resnet152c": (Entry("gluon_in1k", GLUON + "gluon_resnet152_v1c-a3bb0b98.pth"),),
    "resnet50d": (
        Entry("gluon_in1k", GLUON + "gluon_resnet50_v1d-818a1b1b.pth"),
        Entry("a1_in1k", RSB + "resnet50d_a1_0-e20cff14.pth", crop_pct=0.95),
        Entry("a2_in1k", RSB + "resnet50d_a2_0-a3adc64d.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnet50d_a3_0-403fdfad.pth", crop=160, crop_pct=0.95),
        Entry("ra2_in1k", FIRST + "resnet50d_ra2-464e36ba.pth"),
        Entry("ra4_e3600_r224_in1k", crop_pct=0.95, colors="inception"),
    ),
    "resnet101d": (
        Entry("gluon_in1k", GLUON + "gluon_resnet101_v1d-0f9c8644.pth"),
        Entry("ra2_in1k", FIRST + "resnet101d_ra2-2803ffab.pth", crop=256, crop_pct=0.95),
    ),
    "resnet152d": (
        Entry("gluon_in1k", GLUON + "gluon_resnet152_v1d-bd354e12.pth"),
        Entry("ra2_in1k", FIRST + "resnet152d_ra2-5cac0439.pth", crop=256, crop_pct=0.95),
    ),
    "resnet50s": (Entry("gluon_in1k", GLUON + "gluon_resnet50_v1s-1762acc0.pth"),),
    "resnet101s": (Entry("gluon_in1k", GLUON + "gluon_resnet101_v1s-60fe0cc1.pth"),),
    "resnet152s": (Entry("gluon_in1k", GLUON + "gluon_resnet152_v1s-dcc41b81.pth"),),
    "resnext50_32x4d": (
        Entry("gluon_in1k", GLUON + "gluon_resnext50_32x4d-e6a097c1.pth"),
        Entry("ra_in1k", FIRST + "resnext50_32x4d_ra-d733960d.pth"),
        Entry("a1_in1k", RSB + "resnext50_32x4d_a1_0-b5a91a1d.pth", crop_pct=0.95),
        Entry("a1h_in1k", RSB + "resnext50_32x4d_a1h-0146ab0a.pth", crop_pct=0.95),
        Entry("a2_in1k", RSB + "resnext50_32x4d_a2_0-efc76add.pth", crop_pct=0.95),
        Entry("a3_in1k", RSB + "resnext50_32x4d_a3_0-3e450271.pth", crop=160, crop_pct=0.95),
        Entry("tv2_in1k", TORCHVISION + "resnext50_32x4d-1a0047aa.pth", crop=176, interpolation="bilinear"),
        Entry("tv_in1k", TORCHVISION + "resnext50_32x4d-7cdf4587.pth", interpolation="bilinear"),
    ),
    "resnext101_32x4d": (Entry("gluon_in1k", GLUON + "gluon_resnext101_32x4d-b253c8c4.pth"),),
    "resnext101_64x4d": (
        Entry("gluon_in1k", GLUON + "gluon_resnext101_64x4d-f9a8e184.pth"),
        Entry("c1_in1k", TPU + "resnext101_64x4d_c-0d0e0cc0.pth", crop_pct=0.95),
        Entry("tv_in1k", TORCHVISION + "resnext101_64x4d-173b62eb.pth", interpolation="bilinear"),
    ),
    "seresnext50_32x4d": (
        Entry("gluon_in1k", GLUON + "gluon_seresnext50_32x4d-90cf2d6e.pth"),
        Entry("racm_in1k", FIRST + "seresnext50_32x4d_racm-a304a460.pth"),
    ),
    "seresnext101_32x4d": (Entry("gluon_in1k", GLUON + "gluon_seresnext101_32x4d-cf52900d.pth"),),
    "seresnext101_64x4d": (Entry("gluon_in1k", GLUON + "gluon_seresnext101_64x4d-f9926f93.pth"),),
    "legacy_senet154": (Entry("in1k", FIRST + "legacy_senet154-e9eb9fe6.pth", interpolation="bilinear", on_hub=False),),
    "densenet121": (
        Entry("ra_in1k"),
        Entry("tv_in1k"),
    ),
    "densenet161": (Entry("tv_in1k"),),
    "densenet169": (Entry("tv_in1k"),),
    "densenet201": (Entry("tv_in1k"),),
}


def timm_weights(architecture: str) -> list[PublishedWeights]:
    """List the weights of an architecture, the one for ``--weights imagenet`` first."""
    return [_published(architecture, entry) for entry in ENTRIES.get(architecture, ())]


def _published(architecture: str, entry: Entry) -> PublishedWeights:
    name = f"{architecture}.{entry.tag}"
    crop = entry.crop or (299 if architecture == "inception_v3" else 224)
    resize = math.floor(crop / entry.crop_pct)
    preprocessing = evaluation(crop, resize, colors=entry.colors, interpolation=entry.interpolation)
    locations: list[HubFile | WebFile] = [HubFile(f"timm/{name}", *PINNED.get(name, ()))] if entry.on_hub else []
    if entry.release:
        locations.append(WebFile(entry.release, entry.release.removesuffix(".pth").rpartition("-")[2]))
    return PublishedWeights(TIMM, name, preprocessing, tuple(locations))
