"""Opens pictures of unknown origin: few formats, a limit on pixels, and one exception for every problem."""

from __future__ import annotations

import io
import warnings

from PIL import Image

SAFE_FORMATS = ("PNG", "JPEG", "WEBP")
"""The formats that are opened. Pillow also knows EPS, which it passes to Ghostscript, and forty others."""


class PictureError(ValueError):
    """The bytes are not a picture of the expected kind; the message says why."""


def open_picture(
    content: bytes, most_pixels: int, formats: tuple[str, ...] = SAFE_FORMATS, most_side: int | None = None
) -> Image.Image:
    """The first frame, completely decoded. Pictures larger than `most_pixels` are never unpacked.

    Raises:
        PictureError: the picture cannot be used; the message says why.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings about large pictures and odd metadata
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
