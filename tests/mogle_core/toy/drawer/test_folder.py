"""`mogle toy faces`: what is beside the faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mogle_core.cli import main
from mogle_core.toy.drawer.sketching import draw_sketch


@pytest.mark.parametrize("options", [[], ["--sketches"], ["--sketches", "--landmarks"]])
def test_sketches_and_landmarks_on_demand(options: list[str], tmp_path: Path) -> None:
    out = tmp_path / "faces"
    for _ in range(2):  # again, over its files
        assert main(["toy", "faces", str(out), "--count", "2", "--size", "64", "--seed", "5", *options]) == 0
    folders = {"images", "masks", *(option.removeprefix("--") for option in options)}
    assert {path.name for path in out.iterdir()} == {*folders, "captions.json"}
    assert {len(list((out / folder).iterdir())) for folder in folders} == {2}
    if options:
        assert np.array_equal(np.array(Image.open(out / "sketches/00001.png")), draw_sketch(6, 64))
