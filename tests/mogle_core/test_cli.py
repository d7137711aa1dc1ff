"""`mogle convert` and `mogle doctor`, as a person calls them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.places import DATA

from mogle_core.cli import main
from mogle_core.model.checkpoints import files as weights
from mogle_core.model.checkpoints.convert import official_lora
from mogle_core.model.stream.lora import LoRAPart, MaskLoRA, fuse

GOLDEN = DATA / "golden"
NETWORK, LORA = GOLDEN / "global_local_mask_moe.pt", GOLDEN / "pytorch_lora_weights.safetensors"


def test_official_pair_to_one_file_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    combined = tmp_path / "face.safetensors"
    assert main(["convert", str(NETWORK), str(LORA), "--to", "combined", "--out", str(combined)]) == 0
    assert capsys.readouterr().out.split() == [str(combined)]
    both = weights.read(combined)
    assert both.network is not None
    assert both.lora is not None

    assert main(["convert", str(combined), "--to", "official", "--out", str(tmp_path / "pair")]) == 0
    network = torch.load(tmp_path / "pair/mogle.pt", weights_only=True)
    original = torch.load(NETWORK, weights_only=True)
    assert network.keys() == original.keys()
    assert all(torch.equal(network[name], original[name]) for name in original)
    lora, original = load_file(tmp_path / "pair/pytorch_lora_weights.safetensors"), load_file(LORA)
    assert lora.keys() == original.keys()
    assert all(torch.equal(lora[name], original[name]) for name in original)


def test_network_as_safetensors(tmp_path: Path) -> None:
    assert main(["convert", str(NETWORK), "--to", "safetensors", "--out", str(tmp_path)]) == 0
    assert weights.read_network(tmp_path / "mogle.safetensors").network is not None


def test_alpha_is_folded_where_the_official_form_has_none() -> None:
    part = LoRAPart(0, torch.randn(4, 8), torch.randn(8, 4), alpha=8.0)
    tensors = official_lora(MaskLoRA({"img_in": [part]}))
    down, up = (tensors[f"transformer.x_embedder.lora_{letter}.weight"] for letter in "AB")
    assert set(tensors) == {f"transformer.x_embedder.lora_{letter}.weight" for letter in "AB"}
    torch.testing.assert_close(up @ down, fuse([part]).up @ fuse([part]).down)


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        ([NETWORK, NETWORK], "more than one network"),
        ([GOLDEN / "flux_tiny.safetensors"], "a FLUX transformer"),
        ([GOLDEN / "gone.pt"], "There is no file gone.pt"),
    ],
)
def test_a_sentence_for_what_cannot_be_converted(
    sources: list[Path], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["convert", *map(str, sources), "--to", "official", "--out", str(tmp_path / "out")])
    assert code == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_doctor_says_what_is_there_and_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("mogle", "loras"):
        (tmp_path / "models" / folder).mkdir(parents=True)
    (tmp_path / "models/mogle/mogle.pt").write_bytes(NETWORK.read_bytes())
    (tmp_path / "models/mogle/broken.pt").write_bytes(b"PK")
    (tmp_path / "models/loras/pytorch_lora_weights.safetensors").write_bytes(LORA.read_bytes())
    (tmp_path / "models/loras/some_style.safetensors").write_bytes(b"not ours, not looked at")
    assert main(["doctor", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "network (20 experts, matrix gate, 101,780 parameters)" in said
    assert "LoRA (rank 4, 18 layers of a transformer 64 wide)" in said
    assert "broken.pt: NOT USABLE" in said
    assert "some_style" not in said
    # Not torch.__version__, which has a "+cpu" or "+cu121" that the wheels on PyPI leave out of their name.
    assert f"torch {metadata.version('torch')}\n" in said
