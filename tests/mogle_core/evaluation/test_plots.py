"""The sheets of best and worst pictures show each mask in the evaluation's label space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mogle_core.dataset.errors import DatasetError
from mogle_core.evaluation.plots import CELL, HEAD, contact_sheet
from mogle_core.masks.labels import LABEL_SPACES, PALETTE


@pytest.mark.parametrize("space", ["celebamask", "farl", "bisenet", "lapa"])
def test_a_sheet_is_drawn_in_the_label_space(space: str, tmp_path: Path) -> None:
    """A map of one class cannot be guessed, and would end an evaluation at its last step."""
    Image.fromarray(np.full((16, 16), 4, np.uint8)).save(tmp_path / "mask.png")
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "picture.png")
    of = {"a": tmp_path / "picture.png"}, {"a": tmp_path / "mask.png"}
    sheet = contact_sheet({"a": 0.5}, *of, label_space=space)
    assert sheet.getpixel((CELL // 2, HEAD + CELL + CELL // 2)) == PALETTE[LABEL_SPACES[space][4]]
    with pytest.raises(DatasetError, match="Choose the label space"):
        contact_sheet({"a": 0.5}, *of)
