"""Opens CLIP's and T5's tokenizers, which single files lack, from diffusers' folder or from a ComfyUI."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .api import EncodersError

_CLIP = ("tokenizer", "comfy/sd1_tokenizer", "sd1_tokenizer", "clip_l")
_T5 = ("tokenizer_2", "comfy/text_encoders/t5_tokenizer", "t5_tokenizer", "t5xxl")
_CLIP_FILES = ("vocab.json", "tokenizer.json")
_T5_FILES = ("tokenizer.json", "spiece.model")


def open_clip_tokenizer(places: Sequence[Path]) -> Any:
    """transformers' CLIPTokenizer. Raises EncodersError if none of the places has it."""
    folder = _find(places, _CLIP, _CLIP_FILES, "CLIP's tokenizer (vocab.json)")
    from transformers import CLIPTokenizerFast

    return CLIPTokenizerFast.from_pretrained(str(folder), local_files_only=True)


def open_t5_tokenizer(places: Sequence[Path]) -> Any:
    """transformers' T5TokenizerFast. Raises EncodersError if none of the places has it."""
    folder = _find(places, _T5, _T5_FILES, "T5's tokenizer (tokenizer.json)")
    from transformers import T5TokenizerFast

    return T5TokenizerFast.from_pretrained(str(folder), local_files_only=True)


def _find(places: Sequence[Path], names: tuple[str, ...], files: tuple[str, ...], what: str) -> Path:
    for root in _roots(places):
        for folder in (root / name for name in names):
            if any((folder / file).is_file() for file in files):
                return folder
    raise EncodersError(
        f"{what} was found near none of {', '.join(map(str, places))}: set model.tokenizers to diffusers' folder of "
        "FLUX.1, or to a ComfyUI, which has both."
    )


def _roots(places: Sequence[Path]) -> Iterator[Path]:
    """The places and the folders around them, the ComfyUI around this package, and the one of COMFYUI_PATH."""
    for place in (*places, Path(__file__)):
        path = place.resolve()
        yield from (path, *path.parents[:5])
    if os.environ.get("COMFYUI_PATH"):
        yield Path(os.environ["COMFYUI_PATH"]).expanduser()
