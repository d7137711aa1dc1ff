"""Whatever a picture holds, decoding gives ids or a MaskError. MOGLE_FUZZ=10000 tries that many."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from support.places import DATA

from mogle_core.masks.decode import MaskError, decode_image
from mogle_core.masks.labels import LABEL_SPACES, NUM_CLASSES
from mogle_core.masks.palettes import PALETTES

fuzz = settings(
    max_examples=int(os.environ.get("MOGLE_FUZZ", 60)), deadline=None, suppress_health_check=list(HealthCheck)
)
COLOURS = sorted({colour for palette in PALETTES for colour, _ in palette.entries})
FILES = sorted((DATA / "field").glob("*.png"))


@st.composite
def pictures(draw: st.DrawFn) -> Image.Image:
    mode = draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK", "YCbCr", "HSV", "LAB"]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    if mode in ("RGB", "RGBA") and draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(COLOURS), min_size=1, max_size=5))
        numbers = draw(arrays(np.uint8, (height, width), elements=st.integers(0, len(chosen) - 1)))
        return Image.fromarray(np.array(chosen, np.uint8)[numbers].repeat(4, 0).repeat(4, 1)).convert(mode)
    if mode in ("RGB", "RGBA") and draw(st.booleans()):  # ids in some channels, beside constant ones
        numbers = draw(arrays(np.uint8, (height, width), elements=st.integers(0, 18))).repeat(4, 0).repeat(4, 1)
        constants = draw(st.lists(st.sampled_from([None, 0, 255, 51]), min_size=4, max_size=4))
        channels = [numbers if each is None else np.full_like(numbers, each) for each in constants]
        return Image.fromarray(np.stack(channels[: len(mode)], -1))
    if mode in ("I", "F", "I;16"):
        kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        return Image.fromarray(draw(arrays(kind, (height, width))))
    if mode == "1":
        return Image.fromarray(draw(arrays(np.bool_, (height, width))))
    highest = draw(st.sampled_from([18, 30, 255]))
    levels = draw(arrays(np.uint8, (height, width, 4), elements=st.integers(0, highest)))
    if mode in ("L", "P"):
        image = Image.fromarray(levels[..., 0], mode)
        if mode == "P":
            image.putpalette(
                draw(st.lists(st.integers(0, 255), min_size=3, max_size=57).map(lambda v: v[: len(v) // 3 * 3]))
                if draw(st.booleans())
                else [0] * 768
            )
            if draw(st.booleans()):
                image.info["transparency"] = draw(st.integers(0, 20))
        return image
    return Image.fromarray(levels[..., : len(Image.new(mode, (1, 1)).getbands())], mode)


@fuzz
@given(pictures(), st.sampled_from(["auto", *LABEL_SPACES]))
def test_any_picture(image: Image.Image, space: str) -> None:
    try:
        found = decode_image(image, space)
    except MaskError as error:
        assert len(str(error)) > 20
        return
    assert found.ids.shape == (1, image.height, image.width)
    assert int(found.ids.max()) < NUM_CLASSES
    assert found.summary()


@fuzz
@given(st.sampled_from(FILES), st.data())
def test_any_damaged_file(path: Path, data: st.DataObject) -> None:
    content = bytearray(Path(path).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        with Image.open(BytesIO(bytes(content[: cut or None]))) as image:
            if image.width * image.height > 1 << 21:
                return
            decode_image(image)
    except (MaskError, Image.UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return
