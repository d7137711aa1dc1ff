"""A picture's file: whole or absent, with metadata for ComfyUI, for tools that read A1111's, and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from .. import __version__
from ..support.whole_files import write_png, written_aside
from .jobs import Job
from .settings import Settings

Format = Literal["png", "jpeg"]

SOFTWARE = f"face-mogle {__version__}: a generated picture"
USER_COMMENT, IMAGE_DESCRIPTION, SOFTWARE_TAG, EXIF_IFD = 0x9286, 0x010E, 0x0131, 0x8769

_GENERATED = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)
"""IPTC's way to say that a picture was made by a model, in XMP."""


@dataclass(frozen=True)
class Notes:
    """What a file says about how it was made. prompt: ComfyUI's API form of the same picture, where there is one."""

    job: Job
    settings: Settings
    digest: str
    prompt: Mapping[str, Any] | None = None

    @property
    def parameters(self) -> str:
        """The text format that A1111 writes and most galleries read."""
        job, how = self.job, self.settings
        drawn = "".join(f"{kind.capitalize()}: {path.name}, " for kind, path in job.conditions)
        return (
            f"{job.prompt}\nSteps: {how.steps}, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG "
            f"Scale: {how.guidance}, Seed: {job.seed}, Size: {how.width}x{how.height}, Mask: "
            f"{job.mask.name if job.mask else 'none'}, {drawn}Mask strength: {how.strength}, "
            f"Version: face-mogle {__version__}"
        )

    @property
    def whole(self) -> str:
        """All notes as JSON."""
        job = {**asdict(self.job), "mask": str(self.job.mask) if self.job.mask else None}
        if conditions := job.pop("conditions"):
            job["conditions"] = {kind: str(path) for kind, path in conditions}
        return json.dumps({"digest": self.digest, "job": job, "settings": self.settings.stored()})


def write_picture(picture: Tensor, path: Path, notes: Notes, quality: int = 95) -> None:
    """Write (H, W, 3) uint8 to a .png, or a .jpg of this quality. The file is never incomplete.

    Raises:
        DiskFullError: the disk is full; no partial file remains.
    """
    image = Image.fromarray(picture.numpy())
    if path.suffix == ".png":
        write_png(image, path, pnginfo=_png_notes(notes))
        return
    with written_aside(path) as partial:
        image.save(partial, "JPEG", quality=quality, subsampling=0, exif=_exif_notes(notes))


def read_digest(path: Path) -> str | None:
    """The digest in a picture's file; None if the file is missing, damaged or has no digest."""
    try:
        with Image.open(path) as image:
            if path.suffix == ".png":
                image.load()
                stored = image.info.get("mogle", "")
            else:
                image.load()
                stored = image.getexif().get(IMAGE_DESCRIPTION, "")
        return str(json.loads(stored)["digest"])
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None


def _png_notes(notes: Notes) -> PngInfo:
    info = PngInfo()
    info.add_itxt("parameters", notes.parameters)
    if notes.prompt is not None:
        info.add_text("prompt", json.dumps(notes.prompt))
    info.add_text("mogle", notes.whole)
    info.add_text("Software", SOFTWARE)
    info.add_itxt("XML:com.adobe.xmp", _GENERATED)
    return info


def _exif_notes(notes: Notes) -> Image.Exif:
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION], exif[SOFTWARE_TAG] = notes.whole, SOFTWARE
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + notes.parameters.encode("utf-16-be")
    return exif
