"""Parts of a face: their classes, and where they lie."""

from __future__ import annotations

import torch

from mogle_core.masks.labels import CLASSES, IDS
from mogle_core.masks.parts import EYES, HAIR, MOUTH, NOSE, centre, is_part, part


def test_every_class_has_its_id_by_name() -> None:
    assert [IDS[c.name] for c in CLASSES] == list(range(19))


def test_a_part_is_its_classes() -> None:
    assert part("hat", "hair") == (14, 13)
    assert (NOSE, EYES, MOUTH) == ((2,), (4, 5), (10, 11, 12))


def test_where_a_part_lies() -> None:
    ids = torch.zeros(6, 8, dtype=torch.uint8)
    ids[1, 2], ids[3, 6] = EYES
    ids[5, :] = MOUTH[0]
    assert is_part(ids, EYES).nonzero().tolist() == [[1, 2], [3, 6]]
    assert centre(ids, EYES) == (4.0, 2.0)
    assert centre(ids, EYES + MOUTH) == (36 / 10, 44 / 10)
    assert centre(ids, HAIR) is None
