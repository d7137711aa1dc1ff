"""Opening a picture of unknown origin: few formats, a limit of pixels, and one exception for all that can be wrong."""

from __future__ import annotations

import io
import warnings

from PIL import Image

SAFE_FORMATS = ("PNG", "JPEG", "WEBP")
"""What is opened of a stranger's pictures. Pillow also knows EPS, which it gives to Ghostscript, and forty others."""


class PictureError(ValueError):
    """Bytes that are not a picture of the expected kind; the message says why."""


def open_picture(
    content: bytes, most_pixels: int, formats: tuple[str, ...] = SAFE_FORMATS, most_side: int | None = None
) -> Image.Image:
    """The first frame, wholly decoded; nothing larger than `most_pixels` is ever unpacked.

    Raises:
        PictureError: for anything that is wrong with it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about large pictures and odd metadata
            picture = Image.open(io.BytesIO(content), formats=formats)
            width, height = picture.size
            if width * height > most_pixels or (most_side is not None and max(width, height) > most_side):
                raise PictureError(f"The picture has {width} x {height} pixels, which is more than expected.")
            picture.load()
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("The picture claims to have far more pixels than expected.") from error
    except Exception as error:  # Pillow's decoders fail in a dozen ways: OSError, SyntaxError, struct.error, ...
        raise PictureError(f"This is not a whole picture in {_listed(formats)} ({_reason(error)}).") from error
    return picture


def _listed(formats: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(formats[:-1]), formats[-1])))


def _reason(error: Exception) -> str:
    said = str(error).strip()
    return said if said and "BytesIO" not in said else "the format is not recognised"
