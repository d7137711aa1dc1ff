"""`mogle doctor` from the command line: what it recognises, what it calls unusable, and its exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.field_files import SENTENCES, lora_of_the_field
from support.places import DATA, REPOSITORY

import mogle_core
from mogle_core.cli import main
from mogle_core.model.checkpoints.convert import Form, convert
from mogle_core.model.checkpoints.files import Recipe, read, save
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.toy.places import FILES, WEIGHTS
from mogle_core.training.checkpoints import State, write

GOLDEN = DATA / "golden"
NETWORK, LORA = GOLDEN / "global_local_mask_moe.pt", GOLDEN / "pytorch_lora_weights.safetensors"


def said(capsys: pytest.CaptureFixture[str], *paths: Path, status: int = 0) -> str:
    assert main(["doctor", *map(str, paths)]) == status
    return capsys.readouterr().out


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    """A ComfyUI with the pack and the toy's models."""
    for folder in ("diffusion_models", "vae", "text_encoders", "mogle", "loras", "face_parsing"):
        (tmp_path / "models" / folder).mkdir(parents=True)
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    pack = tmp_path / "custom_nodes/ComfyUI-MoGLE"
    for part in ("nodes", "web", "locales"):
        shutil.copytree(REPOSITORY / part, pack / part, ignore=shutil.ignore_patterns("__pycache__"))
    ignored = shutil.ignore_patterns("__pycache__", "weights")
    shutil.copytree(REPOSITORY / "mogle_core", pack / "mogle_core", ignore=ignored)
    for name in ("__init__.py", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, pack)
    return tmp_path


def test_it_says_what_is_there_and_what_is_wrong(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(NETWORK, comfyui / "models/mogle/mogle.pt")
    shutil.copy(LORA, comfyui / "models/loras")
    (comfyui / "models/mogle/broken.pt").write_bytes(b"PK")
    (comfyui / "models/loras/some_style.safetensors").write_bytes(b"not ours, not looked at")
    report = said(capsys, comfyui, status=1)
    assert "network (20 experts, matrix gate, 101,780 parameters)" in report
    assert "LoRA (rank 4, 18 layers of a transformer 64 wide)" in report
    assert "broken.pt: NOT USABLE" in report
    assert "some_style" not in report
    assert f"torch {torch.__version__}" in report
    assert f"face-mogle {mogle_core.__version__}" in report


def test_it_says_the_version_of_comfyui_and_that_the_pack_is_complete(
    comfyui: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = said(capsys, comfyui)
    assert "ComfyUI 0.33.0" in report
    assert f"ComfyUI-MoGLE {mogle_core.__version__}, complete." in report


def test_a_comfyui_that_is_too_old(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (comfyui / "comfyui_version.py").write_text('__version__ = "0.3.10"\n')
    assert "ComfyUI 0.3.10 is older than 0.3.64" in said(capsys, comfyui, status=1)


def test_a_pack_without_a_module_that_another_imports(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (comfyui / "custom_nodes/ComfyUI-MoGLE/mogle_core/masks/labels.py").unlink()
    assert "is incomplete: mogle_core/masks/labels.py is missing" in said(capsys, comfyui, status=1)


def test_a_pack_with_a_module_that_was_cut(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (comfyui / "custom_nodes/ComfyUI-MoGLE/nodes/masks.py").write_text("def (")
    assert "is incomplete: nodes/masks.py is damaged" in said(capsys, comfyui, status=1)


def test_an_absent_pack_is_not_a_failure(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(comfyui / "custom_nodes")
    assert "MISSING. ComfyUI-MoGLE is not installed there" in said(capsys, comfyui)


def test_a_pack_that_is_there_twice(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(comfyui / "custom_nodes/ComfyUI-MoGLE", comfyui / "custom_nodes/copy")
    assert "ComfyUI-MoGLE is there 2 times" in said(capsys, comfyui, status=1)


def test_missing_models_for_an_image_are_listed(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = said(capsys, comfyui)
    for file in ("flux1-dev", "ae.safetensors", "clip_l", "t5xxl", "global_local_mask_moe", "pytorch_lora", "yunet"):
        assert any(file in line and "MISSING" in line for line in report.splitlines()), file


def test_the_toys_files(capsys: pytest.CaptureFixture[str]) -> None:
    report = said(capsys, WEIGHTS)
    for kind, words in {
        "flux": "a FLUX.1 transformer (the toy's)",
        "vae": "the toy's VAE",
        "text": "the toy's text encoder",
        "judge": "the toy's face parser",
        "mogle": "network (20 experts",
    }.items():
        assert f"{FILES[kind]}: {words}" in report


@pytest.mark.parametrize(
    ("tensor", "shape", "words"),
    [
        ("decoder.conv_in.weight", (512, 16, 3, 3), "FLUX.1's VAE."),
        ("text_model.embeddings.token_embedding.weight", (49408, 768), "CLIP-L's text encoder."),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", (4096, 4096), "T5-XXL's encoder."),
    ],
)
def test_models_are_recognised_by_their_shapes(
    tensor: str, shape: tuple[int, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({tensor: torch.zeros(shape, dtype=torch.uint8)}, tmp_path / "a.safetensors")
    assert f"a.safetensors: {words}" in said(capsys, tmp_path)


@pytest.mark.parametrize(
    ("tensor", "shape", "words"),
    [
        ("decoder.conv_in.weight", (512, 4, 3, 3), "VAE of 4 channels, not FLUX.1's of 16"),
        ("text_model.embeddings.token_embedding.weight", (49408, 1280), "CLIP text encoder 1280 wide"),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", (768, 512), "T5 encoder 512 wide"),
        ("something", (1,), "is not a file of Face-MoGLE"),
    ],
)
def test_models_of_another_kind_are_not_usable(
    tensor: str, shape: tuple[int, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({tensor: torch.zeros(shape, dtype=torch.uint8)}, tmp_path / "a.safetensors")
    report = said(capsys, tmp_path / "a.safetensors", status=1)
    assert "NOT USABLE" in report
    assert words in report


def test_a_vae_of_another_model_in_comfyuis_folder_is_ignored(
    comfyui: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"decoder.conv_in.weight": torch.zeros(8, 4, 3, 3)}, comfyui / "models/vae/sd.safetensors")
    assert "sd.safetensors" not in said(capsys, comfyui)


def test_a_checkpoint_of_the_trainer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, State(1200, {"lora": torch.zeros(2)}, {}, {}, 0, "", "", {}), keep=1)
    assert "step_00001200.pt: a checkpoint of `mogle train` at step 1,200" in said(capsys, tmp_path)


def test_a_static_checkpoint_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = StreamOptions(independent_condition=True)
    recipe = Recipe("training", options=options, pooled=torch.zeros(3), stream="static")
    save(tmp_path / "static.safetensors", MoGLE(MoGLEConfig(gate="static")), read(LORA).lora, recipe)
    save(tmp_path / "exact.safetensors", read(NETWORK).network, read(LORA).lora, Recipe())
    lines = [line for line in said(capsys, tmp_path).splitlines() if "The mask stream is static" in line]
    assert len(lines) == 1 and "static.safetensors" in lines[0]


@pytest.mark.parametrize(
    ("form", "file", "gate"),
    [
        ("official", "mogle.pt", "sampling (assumed: the file does not say)"),
        ("safetensors", "mogle.safetensors", "training."),
        ("combined", "face.safetensors", "training."),
    ],
)
def test_the_gates_timestep_is_what_a_converted_file_says(
    form: Form, file: str, gate: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tmp_path / "trained.safetensors"
    lora = read(LORA).lora
    save(trained, read(NETWORK).network, lora, Recipe("training"))
    convert([trained], tmp_path / ("face.safetensors" if form == "combined" else "pair"), form)
    place = tmp_path if form == "combined" else tmp_path / "pair"
    assert f"gate timestep {gate}" in said(capsys, place / file)


@pytest.mark.parametrize("name", ["detector.onnx", "flux.gguf", "model.safetensors", "mogle.pt", "step_00000001.pt"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\xff" * 5000, b"\x08\x00\x00\x00\x00\x00\x00\x00{}"])
def test_damaged_files_are_an_error_message(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["doctor", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert f"{name}: NOT USABLE." in out
    assert "cannot be used" in err


@pytest.mark.parametrize("gone", ["nowhere", "nowhere/model.safetensors"])
def test_a_path_that_does_not_exist(gone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no such file or folder" in said(capsys, tmp_path / gone, status=1)


def test_a_folder_without_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There are no weights" in said(capsys, tmp_path, status=1)


def test_as_json(comfyui: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", str(comfyui), str(comfyui / "gone")]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["usable"] is False
    assert {"subject": "face-mogle", "says": mogle_core.__version__, "status": "ok"} in report["findings"]
    wrong = [each for each in report["findings"] if each["status"] == "wrong"]
    assert [each["subject"] for each in wrong] == [str(comfyui / "gone")]


@pytest.mark.parametrize("name", SENTENCES)
@pytest.mark.parametrize("ending", ["safetensors", "sft", "SAFETENSORS"])
def test_a_lora_of_the_field_has_its_sentence(
    name: str, ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(shutil.copy(lora_of_the_field(name), tmp_path / f"{name}.{ending}"))
    for place in (file, tmp_path):
        assert main(["doctor", str(place)]) == 1
        told = capsys.readouterr()
        assert f"{file.name}: NOT USABLE." in told.out
        assert SENTENCES[name] in told.out
        assert "Traceback" not in told.out + told.err


@pytest.mark.parametrize("name", ["lora.sft", "LORA.SAFETENSORS", "fp8.Sft", "fp8.safetensors"])
def test_a_lora_is_recognised_whatever_its_ending(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(lora_of_the_field("fp8_lora") if "fp8" in name else LORA, tmp_path / name)
    for place in (tmp_path / name, tmp_path):
        assert f"{name}: LoRA (rank" in said(capsys, place)


def test_the_folder_of_an_official_pair_says_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "trained.safetensors", read(NETWORK).network, read(LORA).lora, Recipe("training"))
    convert([tmp_path / "trained.safetensors"], tmp_path / "pair", "official")
    report = said(capsys, tmp_path / "pair")
    assert "mogle.pt: network (20 experts" in report
    assert "gate timestep sampling (assumed: the file does not say)" in report
    assert "pytorch_lora_weights.safetensors: LoRA (rank 4" in report
