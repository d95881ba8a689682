"""Layers of torchvision's and timm's inception_v3."""

from __future__ import annotations

STEM = {0: "Conv2d_1a_3x3", 1: "Conv2d_2a_3x3", 2: "Conv2d_2b_3x3", 4: "Conv2d_3b_1x1", 5: "Conv2d_4a_3x3"}
BLOCKS = dict(enumerate("5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split(), 7))  # Mixed_5b is features.7
KINDS = ("conv", "bn")

# Branches of a block in GluonCV's order. Convolutions of a branch are numbered unless it has one.
SINGLE = {"branch1x1", "branch_pool"}
A = ("branch1x1", "branch5x5", "branch3x3dbl", "branch_pool")
B = ("branch3x3", "branch3x3dbl")
C = ("branch1x1", "branch7x7", "branch7x7dbl", "branch_pool")
D = ("branch3x3", "branch7x7x3")
E = ("branch1x1", "branch3x3", "branch3x3dbl", "branch_pool")
BRANCHES = {
    "5b": A, "5c": A, "5d": A, "6a": B, "6b": C, "6c": C, "6d": C, "6e": C, "7a": D, "7b": E, "7c": E,
}  # fmt: skip


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's Inception v3.

    Examples
    --------
    >>> layer_name("features.0.1")
    'Conv2d_1a_3x3.bn'
    >>> layer_name("features.11.2.4.0")
    'Mixed_6b.branch7x7dbl_5.conv'
    >>> layer_name("features.7.3.1.0")
    'Mixed_5b.branch_pool.conv'
    >>> layer_name("features.16.1.1.0.0.0")
    'Mixed_7b.branch3x3_2a.conv'
    """
    block, *path = (int(number) for number in layer.split(".")[1:])
    kind = KINDS[path.pop()]
    if block in STEM:
        return f"{STEM[block]}.{kind}"
    name = BLOCKS[block]
    branch = BRANCHES[name][path.pop(0)]
    return f"Mixed_{name}.{branch}{_convolution(name, branch, path)}.{kind}"


def _convolution(block: str, branch: str, path: list[int]) -> str:
    """Return the suffix of a convolution by its path in the branch."""
    if branch in SINGLE or (block, branch) == ("6a", "branch3x3"):
        return ""
    if BRANCHES[block] is not E:
        return f"_{path[0] + 1}"
    part, *inside = path  # E's branches are a sequence, then two convolutions side by side
    return f"_{inside[0] + 1}" if part == 0 else f"_{2 if branch == 'branch3x3' else 3}{'ab'[inside[0]]}"
