"""The nodes read masks and LoRAs as people have them, refuse them with a sentence, or warn where they look wrong."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support.field_files import SENTENCES
from support.places import DATA
from torch import Tensor

FIELD, GOLDEN, MASKS = DATA / "field", DATA / "golden", DATA / "masks"
LORA = GOLDEN / "pytorch_lora_weights.safetensors"


@pytest.fixture
def ids(comfy: Any) -> np.ndarray:
    decode = comfy.module("mogle_core.masks.decode").decode_image
    return decode(Image.open(MASKS / "portrait_hat.png")).ids[0].numpy()


def loaded(levels: np.ndarray) -> Tensor:
    """As Load Image returns a grey id map."""
    return torch.from_numpy(np.repeat(levels[None, ..., None].astype(np.float32) / 255, 3, -1))


def decoupled(comfy: Any, image: Tensor, label_space: str = "auto") -> Any:
    node = comfy.module("nodes.masks").MaskDecouple
    return node.execute(image, label_space, "correct")


@pytest.mark.parametrize("space", ["e4s", "easyportrait", "facesynthetics"])
def test_a_foreign_numbering_is_doubted_in_the_log_and_on_the_node(
    space: str, ids: np.ndarray, comfy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = np.zeros(19, np.uint8)
    for number, class_id in reversed(list(enumerate(comfy.module("mogle_core.masks.labels").LABEL_SPACES[space]))):
        numbers[class_id] = number
    with caplog.at_level(logging.WARNING):
        output = decoupled(comfy, loaded(numbers[ids]))
    (said,) = {r.getMessage() for r in caplog.records if r.getMessage().startswith("Mask Decouple: ")}
    assert "keeps only" in said
    (shown,) = output.ui.as_dict()["text"]
    assert said == f"Mask Decouple: {shown}"
    caplog.clear()
    chosen = decoupled(comfy, loaded(numbers[ids]), space)
    assert not caplog.records
    assert chosen.ui is None


def test_a_face_in_colours_upside_down_is_doubted(comfy: Any, caplog: pytest.LogCaptureFixture) -> None:
    picture = np.array(Image.open(MASKS / "portrait_hat.png").convert("RGB"), np.float32)[None] / 255
    assert decoupled(comfy, torch.from_numpy(picture)).ui is None
    turned = decoupled(comfy, torch.from_numpy(picture[:, ::-1].copy()))
    assert "upside down" in turned.ui.as_dict()["text"][0]
    assert "Mask Decouple: " in caplog.text


@pytest.fixture
def loras(models_folder: Path) -> Any:
    """A folder for LoRAs that is empty again after the test."""
    folder = models_folder / "loras/of_the_field"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def apply(comfy: Any, base: Any, file: Path) -> Any:
    return comfy.node("MoGLELoRAApply")(model=base, lora_name=f"of_the_field/{file.name}", strength=1.0)


@pytest.mark.parametrize("name", SENTENCES)
@pytest.mark.parametrize("ending", ["safetensors", "sft"])
def test_a_lora_that_cannot_be_used_has_its_sentence(
    name: str, ending: str, comfy: Any, base: Any, loras: Path
) -> None:
    file = Path(shutil.copy(FIELD / f"{name}.safetensors", loras / f"{name}.{ending}"))
    # The core that the host loaded has its own class of this name.
    with pytest.raises(ValueError, match=f"{name}.{ending}: .*{re.escape(SENTENCES[name])}") as raised:
        apply(comfy, base, file)
    assert type(raised.value).__name__ == "WeightsError"


@pytest.mark.parametrize("name", ["lora.sft", "LORA.SFT", "LORA.SAFETENSORS", "e5m2.sft", "e4m3.safetensors"])
def test_a_lora_is_applied_whatever_its_ending_and_floats(name: str, comfy: Any, base: Any, loras: Path) -> None:
    tensors = load_file(LORA)
    kind = {"e5m2": torch.float8_e5m2, "e4m3": torch.float8_e4m3fn}.get(name.split(".")[0], torch.float32)
    save_file({key: tensor.to(kind) for key, tensor in tensors.items()}, loras / name)
    (model,) = apply(comfy, base, loras / name)
    assert model is not base


STYLES = {
    "kohya": {"ss_network_module": "networks.lora_flux", "ss_output_name": "watercolour"},
    "modelspec": {"modelspec.architecture": "flux-1-dev/lora", "modelspec.title": "Watercolour"},
    "ai-toolkit": {"software": json.dumps({"name": "ai-toolkit"}), "name": "watercolour"},
    "trigger": {"trigger_word": "wtrclr"},
}


@pytest.mark.parametrize("trainer", STYLES)
def test_a_style_lora_is_a_warning_that_names_it(
    trainer: str, comfy: Any, base: Any, loras: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_file(load_file(LORA), loras / "style.safetensors", STYLES[trainer])
    with caplog.at_level(logging.WARNING):
        apply(comfy, base, loras / "style.safetensors")
    (said,) = [r.getMessage() for r in caplog.records if "LoRA Apply" in r.getMessage()]
    assert "of_the_field/style.safetensors describes an ordinary LoRA" in said
    assert "Load LoRA" in said
    assert ("wtrclr" if trainer == "trigger" else "atercolour") in said


@pytest.mark.parametrize("how", ["official", "with our notes"])
def test_face_mogles_lora_has_no_warning(
    how: str, comfy: Any, base: Any, loras: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes = {"mogle.gate_timestep": "sampling", **STYLES["modelspec"]} if how == "with our notes" else None
    if notes is None:
        shutil.copy(LORA, loras / "mask.safetensors")
    else:
        save_file(load_file(LORA), loras / "mask.safetensors", notes)
    with caplog.at_level(logging.WARNING):
        apply(comfy, base, loras / "mask.safetensors")
    assert not caplog.records


DARK = {
    "red": (lambda ids: np.stack((ids, 0 * ids, 0 * ids), -1), "its red channel"),
    "three maps": (lambda ids: np.stack((ids, np.fliplr(ids), np.flipud(ids)), -1), "several id maps"),
    "beside full blue": (lambda ids: np.stack((ids, 0 * ids, 0 * ids + 255), -1), "almost the same"),
    "opacity": (lambda ids: np.stack((0 * ids, 0 * ids, 0 * ids, ids), -1), "in the alpha channel"),
}


@pytest.mark.parametrize("case", DARK)
def test_ids_in_a_channel_are_refused_by_the_node(case: str, ids: np.ndarray, comfy: Any) -> None:
    store, sentence = DARK[case]
    with pytest.raises(ValueError, match=sentence):
        decoupled(comfy, torch.from_numpy(store(ids)[None].astype(np.float32) / 255))


OTHERS = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS"),
    "page": (b"<!DOCTYPE html><html></html>", "a web page"),
    "pickle": ((GOLDEN / "global_local_mask_moe.pt").read_bytes(), "a PyTorch file .*not a .safetensors file"),
    "answer": (b'{"error": "Entry not found"}', "a text that begins with"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_file_that_is_not_what_it_is_called_is_named_by_the_node(
    case: str, comfy: Any, base: Any, loras: Path
) -> None:
    content, sentence = OTHERS[case]
    (loras / "lora.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=f"lora.safetensors is .*{sentence}"):
        apply(comfy, base, loras / "lora.safetensors")


def test_a_lora_with_a_text_encoders_part_is_called_ordinary(comfy: Any, base: Any, loras: Path) -> None:
    name = "lora_te1_text_model_encoder_layers_0_mlp_fc1"
    more = {f"{name}.lora_down.weight": torch.ones(4, 8), f"{name}.lora_up.weight": torch.ones(8, 4)}
    save_file(load_file(LORA) | more, loras / "style.safetensors")
    with pytest.raises(ValueError, match="a text encoder as well .*ordinary FLUX LoRA"):
        apply(comfy, base, loras / "style.safetensors")
