"""Sentences about a drawn portrait, in the manner of MM-CelebA-HQ's captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .attributes import Attributes

_PRONOUNS = {"woman": "She", "man": "He", "person": "This person"}


def _listed(phrases: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


def _hair(face: Attributes) -> str:
    return f"{face.hair_length} {face.hair_texture} {face.hair_colour} hair"


def _looks(face: Attributes) -> list[str]:
    return [f"{face.skin_tone} skin", f"{face.eye_colour} eyes", f"{face.brows} eyebrows"]


def _worn(face: Attributes) -> list[str]:
    """What is worn on the head and neck; empty if nothing is."""
    items = [f"{face.lipstick} lipstick"] if face.lipstick else []
    items += [f"{face.glasses} eyeglasses"] if face.glasses else []
    items += [f"a {face.hat_colour} {face.hat}"] if face.hat else []
    items += ["earrings"] if face.earrings else []
    return items + (["a necklace"] if face.necklace else [])


def _garment(face: Attributes) -> str:
    article = "an" if face.clothing_colour == "orange" else "a"
    return f"{article} {face.clothing_colour} {face.clothing}"


def _mouth(face: Attributes) -> str:
    mood = "is smiling" if face.smiling else "is not smiling"
    return f"{mood} with an open mouth" if face.mouth_open else mood


def _plain(face: Attributes) -> str:
    who = _PRONOUNS[face.subject]
    return (
        f"{who} has {_hair(face)}, {_listed(_looks(face))}, and is wearing "
        f"{_listed([*_worn(face), _garment(face)])}. {who} {_mouth(face)}. "
        f"The background is {face.background}."
    )


def _portrait(face: Attributes) -> str:
    wearing = f" The {face.subject} is wearing {_listed(_worn(face))}." if _worn(face) else ""
    return (
        f"A {face.subject} with {_hair(face)} in {_garment(face)} in front of a {face.background} background."
        f"{wearing} The {face.subject} has {_listed(_looks(face))} and {_mouth(face)}."
    )


def _mood_first(face: Attributes) -> str:
    who = _PRONOUNS[face.subject]
    return (
        f"This {face.subject} {_mouth(face)} and has {_listed([_hair(face), *_looks(face)])}. "
        f"{who} wears {_listed([_garment(face), *_worn(face)])}. The background is {face.background}."
    )


def _worn_first(face: Attributes) -> str:
    who = _PRONOUNS[face.subject]
    return (
        f"The {face.subject} wears {_listed([*_worn(face), _garment(face)])}, and has {_hair(face)} and "
        f"{_looks(face)[0]}. {who} {_mouth(face)}. The background is {face.background}."
    )


_TEMPLATES = (_plain, _portrait, _mood_first, _worn_first)


def write_caption(face: Attributes, rng: np.random.Generator) -> str:
    """One caption; it always states hair, skin, clothing, background, mouth and everything worn."""
    sentence = _TEMPLATES[int(rng.integers(len(_TEMPLATES)))](face)
    return sentence.replace(" a orange ", " an orange ")


def without_hair(caption: str, face: Attributes) -> str:
    """The face's caption without its words on hair.

    Raises:
        ValueError: the caption does not mention this face's hair.
    """
    hair = _hair(face)
    for clause in (f" with {hair}", f"{hair}, ", f"{hair} and "):
        if clause in caption:
            return caption.replace(clause, "", 1)
    raise ValueError(f"This caption does not speak of {hair}: {caption}")
