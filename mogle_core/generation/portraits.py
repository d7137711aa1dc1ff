"""Portraits from Python: one object with the models, one call a picture.

from mogle_core.generation.portraits import Portraits

with Portraits.toy() as portraits:
    portraits.make("A woman with long brown hair.", mask="mask.png").save("portrait.png")
"""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..masks.decode import decode_image
from ..masks.decouple import resize
from .backend import BackendError, Order
from .conditions import read_conditions
from .jobs import Job
from .local import LocalBackend
from .models import Sources, toy_sources
from .settings import Settings

TOY_SETTINGS = Settings(width=128, height=128, steps=20, guidance=1.0)
"""What the toy world was trained for."""


class Portraits:
    """Makes portraits one by one, with the bits of `mogle generate`.

    Models are loaded at the first picture and stay loaded until the block ends.
    """

    def __init__(self, sources: Sources, settings: Settings | None = None, device: str | None = None) -> None:
        """sources: the weights. settings: of all pictures; None takes FLUX.1's. device: None takes a GPU if any.

        Raises:
            ValueError: weights are missing or cannot be used; the message says which and why.
        """
        self.settings = settings or Settings()
        self._backend = LocalBackend(sources, device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @classmethod
    def toy(cls, device: str = "cpu") -> Portraits:
        """With the weights that this package brings: small drawings, in seconds, without a GPU."""
        return cls(toy_sources(), TOY_SETTINGS, device)

    @classmethod
    def flux(
        cls,
        transformer: str | PathLike[str],
        vae: str | PathLike[str],
        clip_l: str | PathLike[str],
        t5xxl: str | PathLike[str],
        mogle: str | PathLike[str] | None = None,
        lora: str | PathLike[str] | None = None,
        settings: Settings | None = None,
        device: str | None = None,
        **more: Any,
    ) -> Portraits:
        """Use FLUX.1's files and Face-MoGLE's. Without the latter, pictures follow the prompt alone.

        Args:
            more: further fields of `Sources`, such as `base_dtype="fp8"` or `offload_blocks=20`.

        Raises:
            ValueError: weights are missing or cannot be used; the message says which and why.
        """
        network, mask_lora = (None if file is None else Path(file) for file in (mogle, lora))
        files = Sources(str(transformer), str(vae), str(clip_l), str(t5xxl), mogle=network, lora=mask_lora, **more)
        return cls(files, settings, device)

    def make(
        self,
        prompt: str,
        mask: str | PathLike[str] | Image.Image | None = None,
        seed: int = 0,
        sketch: str | PathLike[str] | None = None,
        **changes: Any,
    ) -> Image.Image:
        """One portrait.

        Args:
            prompt: what it looks like.
            mask: a stored label map, or its file; None follows the prompt alone.
            seed: of the noise. The same seed, mask, prompt, settings and weights make the same picture.
            sketch: a drawing's file, for a network that was trained with sketches; with a mask or without one.
            changes: to the settings of this picture, such as `strength=0.7` or `steps=12`.

        Raises:
            ValueError, OSError: mask or sketch cannot be read or used, or a setting is impossible.
        """
        settings = replace(self.settings, **changes)
        drawn = () if sketch is None else (("sketch", Path(sketch)),)
        job = Job("portrait", prompt, seed, conditions=drawn)
        order = Order(job, _ids(mask, settings), conditions=read_conditions(job, settings))
        self._backend.prepare([prompt])
        ((_, made),) = self._backend.make([order], settings)
        if isinstance(made, BackendError):
            raise ValueError(str(made)) from made
        if isinstance(made, Exception):
            raise made
        return Image.fromarray(made.numpy())

    def close(self) -> None:
        self._backend.close()

    def __enter__(self) -> Portraits:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _ids(mask: str | PathLike[str] | Image.Image | None, settings: Settings) -> Tensor | None:
    """The label map (H, W) uint8 at the picture's size."""
    if mask is None:
        return None
    if isinstance(mask, Image.Image):
        return resize(decode_image(mask, settings.label_space).ids, settings.height, settings.width)[0]
    with Image.open(Path(mask)) as stored:
        return _ids(stored, settings)
