"""Whatever a file of weights holds, `mogle doctor` says what it is or what is wrong. MOGLE_FUZZ=10000 for more."""

from __future__ import annotations

import io
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.places import DATA

from mogle_core.commands.diagnosis.weights import ENDINGS, examined
from mogle_core.training.checkpoints import State, write

fuzz = settings(
    max_examples=int(os.environ.get("MOGLE_FUZZ", 60)), deadline=None, suppress_health_check=list(HealthCheck)
)
GOLDEN = DATA / "golden"
NAMES = (
    "double_blocks.0.img_attn.qkv.weight", "double_blocks.0.img_attn.norm.key_norm.scale", "img_in.weight",
    "single_blocks.0.linear2.weight", "txt_in.weight", "vector_in.in_layer.weight", "guidance_in.in_layer.weight",
    "model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "transformer_blocks.0.attn.add_q_proj.weight",
    "decoder.conv_in.weight", "taesd_encoder.0.weight", "embeddings.token_embedding.weight",
    "text_model.embeddings.token_embedding.weight", "encoder.block.0.layer.0.SelfAttention.q.weight",
    "segformer.encoder.patch_embeddings.0.proj.weight", "decode_head.classifier.weight",
    "gating.gate.2.weight", "gating.gate.0.weight", "global_expert.net.0.weight", "local_experts.0.net.0.weight",
    "transformer.x_embedder.lora_A.weight", "transformer.x_embedder.lora_B.weight", "lora_unet_img_in.alpha",
)  # fmt: skip
KINDS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "BOOL": 1, "F8_E4M3": 1, "U8": 1}


@lru_cache
def whole_files() -> list[tuple[str, bytes]]:
    """(name, bytes) of files that doctor knows."""
    buffer = io.BytesIO()
    torch.save({"gating.gate.2.weight": torch.zeros(20, 64)}, buffer)
    found = [(path.name, path.read_bytes()) for path in sorted(GOLDEN.glob("*")) if path.suffix in ENDINGS]
    return [*found, ("a.pth", buffer.getvalue()), ("det.onnx", b"\x08\x07" + bytes(120_000)), ("f.gguf", b"GGUF flux")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("run")
    weight = {"network.gate": torch.zeros(4)}
    write(path, State(20, weight, {}, {"state": {}, "param_groups": []}, 0, "", "data", {}, "trains", ""), keep=2)
    return next(path.glob("step_*.pt")).read_bytes()


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    """A file of this form whose names doctor looks for, with shapes, dtypes and metadata that fit nothing."""
    header: dict[str, Any] = {}
    place = 0
    for name in draw(st.lists(st.sampled_from(NAMES) | st.text(max_size=8), max_size=6, unique=True)):
        kind = draw(st.sampled_from(list(KINDS)))
        shape = draw(st.lists(st.integers(0, 3), max_size=4))
        size = KINDS[kind] * int(torch.tensor(shape).prod()) if shape else KINDS[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    if draw(st.booleans()):
        texts = st.text(max_size=10) | st.sampled_from(["{}", "[", "1e999", "training", "0"])
        keys = st.sampled_from(["mogle.gate_timestep", "ss_network_module", "lora_adapter_metadata", "mogle.config"])
        header["__metadata__"] = draw(st.dictionaries(keys | st.text(max_size=5), texts, max_size=3))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(place)


def is_a_finding(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    kind, finding = examined(path)
    assert finding.status == ("ok" if kind not in (None, "other") else "wrong")
    assert 5 < len(finding.says) < 3000
    path.unlink()


@fuzz
@given(content=safetensors() | st.binary(max_size=200), ending=st.sampled_from(ENDINGS))
def test_any_tensors_under_any_ending(content: bytes, ending: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    is_a_finding(tmp_path_factory.getbasetemp() / f"doctor{ending}", content)


@fuzz
@given(data=st.data())
def test_any_damaged_file(data: st.DataObject, checkpoint: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    name, whole = data.draw(st.sampled_from([*whole_files(), ("step_000020.pt", checkpoint)]))
    content = bytearray(whole)
    # Half of the damage is where a file says what it holds.
    places = st.integers(0, len(content) - 1) | st.integers(0, min(400, len(content)) - 1)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(places)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.none())
    is_a_finding(tmp_path_factory.getbasetemp() / name, bytes(content[:cut]))
