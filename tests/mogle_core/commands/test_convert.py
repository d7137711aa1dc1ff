"""`mogle convert` from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.field_files import SENTENCES, lora_of_the_field
from support.places import DATA

from mogle_core.cli import main
from mogle_core.model.checkpoints import files as weights
from mogle_core.model.checkpoints.convert import official_lora
from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.stream.attention import StreamOptions
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
def test_what_cannot_be_converted_is_an_error_message(
    sources: list[Path], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["convert", *map(str, sources), "--to", "official", "--out", str(tmp_path / "out")])
    assert code == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", SENTENCES)
@pytest.mark.parametrize("ending", ["safetensors", "sft", "SAFETENSORS"])
def test_a_lora_of_the_field_has_its_sentence(
    name: str, ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shutil.copy(lora_of_the_field(name), tmp_path / f"{name}.{ending}")
    out = tmp_path / "out.safetensors"
    assert main(["convert", str(file), "--to", "combined", "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert f"{name}.{ending}: " in told.err
    assert SENTENCES[name] in told.err
    assert "Traceback" not in told.out + told.err
    assert not out.exists()


@pytest.mark.parametrize("name", ["lora.sft", "LORA.SAFETENSORS", "fp8.sft", "fp8.safetensors"])
def test_a_lora_is_converted_whatever_its_ending(name: str, tmp_path: Path) -> None:
    source = lora_of_the_field("fp8_lora") if "fp8" in name else LORA
    file, out = shutil.copy(source, tmp_path / name), tmp_path / "out.safetensors"
    assert main(["convert", str(file), "--to", "combined", "--out", str(out)]) == 0
    found, expected = (weights.read_lora(path).lora.low_rank() for path in (out, source))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[layer].up, expected[layer].up) for layer in expected)


LOST = {
    "training": (Recipe("training"), ["gate's timestep, which is 'training'"]),
    "options": (Recipe(options=StreamOptions(add_condition_attention=True)), ["add_condition_attention=True"]),
    "latent LoRA": (Recipe(options=StreamOptions(latent_lora=True)), ["latent_lora=True"]),
    "label space": (Recipe(label_space="farl"), ["label_space = farl"]),
    "all": (
        Recipe("training", label_space="lapa", options=StreamOptions(latent_lora=True)),
        ["gate's timestep", "label_space = lapa", "latent_lora=True"],
    ),
    "nothing": (Recipe(), []),
}


@pytest.mark.parametrize("case", LOST)
def test_what_the_official_form_loses_is_said(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recipe, sentences = LOST[case]
    source = tmp_path / "trained.safetensors"
    weights.save(source, weights.read(NETWORK).network, weights.read(LORA).lora, recipe)
    assert main(["convert", str(source), "--to", "official", "--out", str(tmp_path / "pair")]) == 0
    for sentence in sentences:
        assert sentence in caplog.text
    assert bool(sentences) == ("The official form" in caplog.text)
    caplog.clear()
    for form in ("safetensors", "combined"):
        out = tmp_path / ("other" if form == "safetensors" else "other.safetensors")
        assert main(["convert", str(source), "--to", form, "--out", str(out)]) == 0
    assert "The official form" not in caplog.text
