"""`mogle toy install`: copies the toy's files to where ComfyUI's stock loaders look. It loads no model."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from ..support.whole_files import copy_whole
from .places import FILES, SKETCH_FILE, WEIGHTS

EXAMPLE_MASK = Path(__file__).parent / "example_mask.png"
EXAMPLE_PHOTO = Path(__file__).parent / "example_photo.png"
EXAMPLE_SKETCH = Path(__file__).parent / "example_sketch.png"
INSTALLED_MASK, INSTALLED_PHOTO = "mogle_toy_mask.png", "mogle_toy_photo.png"
INSTALLED_SKETCH = "mogle_toy_sketch.png"

_PLACES = (
    ("flux", "models/diffusion_models"),
    ("vae", "models/vae"),
    ("mogle", "models/mogle"),
    ("mogle", "models/loras"),
    ("judge", "models/face_parsing"),
)


class InstallError(ValueError):
    """Files that cannot be installed; the message says which, and what to change."""


def install(comfyui: Path, folder: Path = WEIGHTS, link: bool = False, force: bool = False) -> list[Path]:
    """Put the toy's models, its example mask and photo into a ComfyUI, or a base directory of one.

    Args:
        folder: where the toy's weights are.
        link: make symbolic links instead of copies where a link is safe (see `_may_be_linked`).
        force: replace other files of these names. Without it, nothing is written if there are any.

    Returns:
        The installed files, including those that were already there.

    Raises:
        InstallError: no ComfyUI, no weights, or another file is in the way.
    """
    if not (comfyui / "models").is_dir():
        raise InstallError(
            f"{comfyui} is not a ComfyUI: it has no folder models. Give the folder that holds models and input, "
            "or ComfyUI's --base-directory."
        )
    pairs = files(comfyui, folder)
    _check(pairs, force)
    for source, target in pairs:
        linked = link and _may_be_linked(source)
        if not _same(source, target) or target.is_symlink() != linked:
            _put(source, target, linked)
    return [target for _, target in pairs]


def files(comfyui: Path, folder: Path = WEIGHTS) -> list[tuple[Path, Path]]:
    """(source, target) of each file that `install` brings."""
    models = [(folder / FILES[kind], comfyui / place / FILES[kind]) for kind, place in _PLACES]
    examples = [(EXAMPLE_MASK, INSTALLED_MASK), (EXAMPLE_PHOTO, INSTALLED_PHOTO)]
    sketch = folder / SKETCH_FILE
    if sketch.is_file():  # a world that was built without it is whole
        models += [(sketch, comfyui / place / SKETCH_FILE) for kind, place in _PLACES if kind == "mogle"]
        examples.append((EXAMPLE_SKETCH, INSTALLED_SKETCH))
    return [*models, *((source, comfyui / "input" / name) for source, name in examples)]


def _may_be_linked(source: Path) -> bool:
    """Pictures must be copies: from 0.28 on, ComfyUI refuses links that lead out of its input folder.

    So must the networks: the trainer writes a file of the same name, and copying that over a link would overwrite the
    embedded weights.
    """
    return source.suffix != ".png" and source.name not in (FILES["mogle"], SKETCH_FILE)


def _check(pairs: list[tuple[Path, Path]], force: bool) -> None:
    missing = sorted({source.name for source, _ in pairs if not source.is_file()})
    if missing:
        raise InstallError(
            f"{', '.join(missing)} not found in {pairs[0][0].parent}: make them by `mogle toy build`, and give "
            "their folder by --weights."
        )
    others = [str(target) for source, target in pairs if os.path.lexists(target) and not _same(source, target)]
    if others and not force:
        raise InstallError(
            f"Other files are in the way and were not changed: {', '.join(others)}. --force replaces them."
        )


def _same(source: Path, target: Path) -> bool:
    return target.is_file() and filecmp.cmp(source, target, shallow=False)


def _put(source: Path, target: Path, link: bool) -> None:
    if not link:
        copy_whole(source, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source.resolve())
