"""The paper's tables, for comparison with a result (arXiv 2509.00428, Tables 1 and 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One metric. name: its key in a result. title: its heading; the arrow points towards better. digits: decimals.

    network: the kind of the network that it is measured with, None if there is none.
    """

    name: str
    title: str
    digits: int
    network: str | None = None


COLUMNS: tuple[Column, ...] = (
    Column("fid", "FID ↓", 2, "inception"),
    Column("kid", "KID×1000 ↓", 2, "inception"),
    Column("cmmd", "CMMD ↓", 3, "clip_large"),
    Column("structure_official", "Mask ↓", 2, "dino"),
    Column("clip", "Text ↑", 2, "clip"),
    Column("image_reward", "IR ↑", 4, "image_reward"),
)

ROWS: Mapping[str, tuple[float, ...]] = {
    "mask and text": (22.24, 10.87, 0.477, 2.44, 26.32, 0.7014),
    "mask": (19.63, 8.29, 0.399, 2.57, 24.53, 0.0398),
    "text": (34.81, 21.85, 0.636, 4.94, 26.91, 0.9527),
    "MM-FFHQ-Female, zero shot": (62.93, 31.27, 1.238, 2.77, 28.06, 0.1801),
}
"""Face-MoGLE's published figures, by what the pictures were made from."""

DIGESTS: Mapping[str, tuple[str, ...]] = {
    # NVIDIA's inception-2015-12-05.pt, which clean-fid also loads, and torch-fidelity's file, whose name contains the
    # first digits of its digest.
    "inception": ("f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4", "6726825d"),
}
"""SHA-256 (or their beginnings) of the published networks by kind.

The other networks are folders or files of which no digest was published: a result names them, so that one can see
what was measured with.
"""

ARCHITECTURES: Mapping[str, str] = {
    "clip": "CLIP's ViT of width 768, 12 layers, patches of 16 at 224, 512 numbers",
    "clip_large": "CLIP's ViT of width 1024, 24 layers, patches of 14 at 336, 768 numbers",
    "dino": "ViT of width 768, 12 layers, patches of 8",
}
"""The sizes of the published networks that are folders; a network of other sizes is not the published one."""

FURTHER: tuple[Column, ...] = (
    Column("structure", "DINO structure per picture ↓", 4, "dino"),
    Column("accuracy", "pixels right ↑", 4, "parser"),
    Column("mean_iou", "mean IoU ↑", 4, "parser"),
    Column("merged_iou", "mean IoU, left and right as one ↑", 4, "parser"),
    Column("boundary_f1", "boundary F1 ↑", 4, "parser"),
    Column("line_distance", "sketch's lines to edges, pixels ↓", 3),
    Column("diversity", "LPIPS between seeds ↑", 4, "lpips"),
    Column("auc", "detector AUC", 4),
    Column("eer", "detector EER", 4),
    Column("ap", "detector AP", 4),
)
"""Metrics that the paper's main tables lack; detection is in its Table 6."""
