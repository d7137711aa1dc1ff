"""Files of encoded masks in ComfyUI's folders: written where Save Latent writes, found where Load Latent looks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
from comfy.cli_args import args

from ...mogle_core.masks.decouple import MaskError
from ...mogle_core.model.mixture.mask_files import ENDING, FORMAT, VERSION, read_masks, tensors_of
from ...mogle_core.model.mixture.mask_latents import MaskLatents
from .files import path_state

SUBFOLDER = "masks"
MASKS_ENDING = ENDING
MASKS_PREFIX = f"{SUBFOLDER}/MoGLE"
_OF_OUTPUT = " [output]"


def save_masks(masks: MaskLatents, prefix: str, prompt: Any, workflow: dict[str, Any] | None) -> dict[str, str]:
    """Write masks to a new file in the output folder, with the workflow as ComfyUI stores it. Returns its place."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    metadata = {FORMAT: VERSION}
    if not args.disable_metadata:
        metadata |= {key: json.dumps(value) for key, value in {"prompt": prompt, **(workflow or {})}.items()}
    file = f"{name}_{counter:05}_{ENDING}"
    comfy.utils.save_torch_file(tensors_of(masks), os.path.join(folder, file), metadata)
    return {"filename": file, "subfolder": subfolder, "type": "output"}


def load_masks(name: str) -> MaskLatents:
    """The masks of one of the files of `masks_choices`.

    Raises:
        MaskError: there is no such file.
    """
    path = _places().get(name)
    if path is None:
        raise MaskError(_missing(name))
    return read_masks(Path(path))


def masks_choices() -> list[str]:
    """The files of encoded masks in the input folder, and those that Save Masks wrote with its default prefix."""
    return [*_places()]


def masks_complaint(name: str) -> str | None:
    """The sentence to show if there is no such file of masks; None if there is."""
    return None if name in _places() else _missing(name)


def _missing(name: str) -> str:
    return (
        f"There is no file {name!r} of encoded masks. Save Masks writes them to output/{SUBFOLDER}; put others into "
        f"ComfyUI's input folder, with names that end in {ENDING}, and press R to refresh."
    )


def masks_state(name: str) -> str:
    """`path_state` of one of the files of `masks_choices`."""
    return path_state(_places().get(name))


def _places() -> dict[str, str]:
    """The path of each file by the name that is offered."""
    output = os.path.join(folder_paths.get_output_directory(), SUBFOLDER)
    places = {file: path for file, path in _files(folder_paths.get_input_directory())}
    return places | {f"{SUBFOLDER}/{file}{_OF_OUTPUT}": path for file, path in _files(output)}


def _files(folder: str) -> Iterator[tuple[str, str]]:
    """Name and path of each file of masks in a folder, sorted; nothing if the folder does not exist."""
    if os.path.isdir(folder):
        for file in sorted(os.listdir(folder)):
            path = os.path.join(folder, file)
            if file.endswith(ENDING) and os.path.isfile(path):
                yield file, path
