"""`mogle prepare` and `mogle train` refuse a set whose ids stand in one channel, before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.small_sets import config, label_map, write_set

from mogle_core.cli import main
from mogle_core.training.config.reading import config_toml

Store = Callable[[np.ndarray], np.ndarray]

STORED: dict[str, tuple[Store, str]] = {
    "red": (lambda ids: np.stack((ids, 0 * ids, 0 * ids), -1), "its red channel has numbers up to"),
    "blue": (lambda ids: np.stack((0 * ids, 0 * ids, ids), -1), "its blue channel has numbers up to"),
    "three maps": (lambda ids: np.stack((ids, ids[::-1], ids[:, ::-1]), -1), "several id maps in one picture"),
    "opacity": (lambda ids: np.stack((0 * ids, 0 * ids, 0 * ids, ids), -1), "in the alpha channel"),
    "beside full blue": (lambda ids: np.stack((ids, 0 * ids, 0 * ids + 255), -1), "almost the same"),
}


@pytest.fixture(params=STORED)
def dark(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """The configuration of a set whose every mask is stored so, in any label space, and its sentence."""
    store, sentence = STORED[request.param]
    root = write_set(tmp_path / "set", 3)
    for number in range(3):
        Image.fromarray(store(label_map(number))).save(root / f"masks/{number}.png")
    path = tmp_path / "run.toml"
    space = "auto" if request.param == "beside full blue" else "celebamask"
    path.write_text(config_toml(config(root, data={"label_space": space}, output={"folder": str(tmp_path / "runs")})))
    return path, sentence


@pytest.mark.parametrize("command", [["prepare"], ["prepare", "--check"], ["train"]], ids=" ".join)
def test_the_command_ends_with_the_sentence(
    command: list[str], dark: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, sentence = dark
    assert main([command[0], str(path), *command[1:]]) == 1
    said = capsys.readouterr()
    assert "masks/0.png: The mask" in said.out + said.err
    assert sentence in said.out + said.err
    assert "Traceback" not in said.out + said.err
    assert not [
        file
        for file in path.parent.rglob("*")
        if file.is_file() and file.suffix not in (".png", ".toml", ".json", ".lock")
    ]
