"""Captions that leave the hair to a region prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mogle_core.toy.drawer.captions import without_hair
from mogle_core.toy.drawer.faces import draw_portrait
from mogle_core.toy.text import words_of


def test_without_hair_only_the_hair_is_gone() -> None:
    for seed in range(100):
        portrait, caption = draw_portrait(seed)
        face, silent = portrait.face, without_hair(caption, portrait.face)
        said = words_of(f"{face.hair_length} {face.hair_texture} {face.hair_colour} hair")
        missing = words_of(caption)
        for word in words_of(silent):
            missing.remove(word)
        assert sorted(word for word in missing if word not in ("with", "and")) == sorted(said)
        assert "hair" not in words_of(silent)
        assert "  " not in silent
        assert ", ," not in silent
        assert "has ," not in silent


def test_a_caption_of_another_face_is_refused() -> None:
    portrait, caption = draw_portrait(0)
    other = replace(portrait.face, hair_texture="frizzy")
    with pytest.raises(ValueError, match="does not speak of .* frizzy"):
        without_hair(caption, other)
