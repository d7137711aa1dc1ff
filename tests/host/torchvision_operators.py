"""Defines torchvision's two operators just before its first import, where its library does not load.

torchvision's wheels on PyPI for Linux are linked against CUDA. With a CPU build of torch their library does
not load, and `import torchvision` stops with "operator torchvision::nms does not exist". The tests compute
nothing with these operators; they only have to exist. `environment.py` copies this file into an environment
that needs it, with a `.pth` file that imports it at every start of Python. This is why it uses a finder, which
waits for torchvision instead of importing torch.
"""

from __future__ import annotations

import sys

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept = []  # a torch.library.Library takes its operators with it when it is collected


class TorchvisionAwaited:
    """A finder that finds nothing, and defines the operators when torchvision is imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name != "torchvision" or _kept:
            return
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for operator in OPERATORS:
            library.define(operator)
        _kept.append(library)


sys.meta_path.insert(0, TorchvisionAwaited())
