"""Whatever a file of weights holds, reading gives a checkpoint or a WeightsError. MOGLE_FUZZ=10000 tries that many."""

from __future__ import annotations

import io
import json
import os
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.places import DATA

from mogle_core.model.checkpoints.files import read
from mogle_core.support.errors import WeightsError

fuzz = settings(
    max_examples=int(os.environ.get("MOGLE_FUZZ", 60)), deadline=None, suppress_health_check=list(HealthCheck)
)
SOURCES = [*sorted((DATA / "field").glob("*.safetensors")), *sorted((DATA / "golden").glob("*lora*.safetensors"))]
MODULES = ["x_embedder", "transformer_blocks.0.attn.to_q", "single_transformer_blocks.1.proj_mlp", "img_in", "other"]
SIDES = ["lora_A.weight", "lora_B.weight", "lora_down.weight", "lora_B.default.weight", "alpha", "dora_scale", "bias"]
DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "I64": 8, "BOOL": 1, "F64": 8, "U16": 2}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
configs = st.dictionaries(
    st.sampled_from(["lora_alpha", "r", "use_rslora", "peft_type", "use_dora", "alpha_pattern", "rank_pattern"]),
    json_values,
)


def tried(path: Path) -> None:
    try:
        read(path)
    except WeightsError as error:
        assert 20 < len(str(error)) < 2000


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    header: dict[str, object] = {}
    if draw(st.booleans()):
        config = draw(st.text(max_size=30) | configs.map(json.dumps))
        header["__metadata__"] = {
            "lora_adapter_metadata": config,
            "ss_network_alpha": draw(st.text(max_size=5)),
            draw(st.sampled_from(["mogle.gate_timestep", "mogle.latent_lora", "mogle.stream"])): draw(
                st.text(max_size=5) | st.sampled_from(["training", "True", "static", "exact"])
            ),
            "mogle.train_resolution": draw(st.text(alphabet="0123456789", max_size=9)),
        }
    body = b""
    for _ in range(draw(st.integers(0, 5))):
        name = f"{draw(st.sampled_from(['transformer.', 'lora_unet_', '', 'mogle.']))}{draw(st.sampled_from(MODULES))}"
        dtype = draw(st.sampled_from(list(DTYPES)))
        shape = draw(st.lists(st.sampled_from([0, 1, 2, 4, 6]), max_size=3))
        size = DTYPES[dtype] * int(torch.tensor(shape).prod()) if shape else DTYPES[dtype]
        claimed = draw(st.sampled_from([shape, shape, shape, [1 << 40, 1 << 40], [-1]]))
        header[f"{name}.{draw(st.sampled_from(SIDES))}"] = {
            "dtype": dtype,
            "shape": claimed,
            "data_offsets": [len(body), len(body) + size],
        }
        body += draw(st.binary(min_size=size, max_size=size))
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@fuzz
@given(content=safetensors())
def test_any_safetensors(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(content)
    tried(path)


@fuzz
@given(
    content=st.sampled_from([b"version https://git-lfs", b"<html>", b"GGUF", b"PK\3\4", b"{", b"\x80\2", b""]).flatmap(
        lambda head: st.binary(max_size=60).map(lambda tail: head + tail)
    ),
    ending=st.sampled_from(["safetensors", "SFT", "pt", "ckpt", "bin", ""]),
)
def test_any_bytes(content: bytes, ending: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes.{ending}"
    path.write_bytes(content)
    tried(path)


@fuzz
@given(source=st.sampled_from(SOURCES), data=st.data())
def test_any_damaged_file(source: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = bytearray(source.read_bytes()[: 1 << 16])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(len(content), 4000) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    tried(path)


@fuzz
@given(data=st.data())
def test_any_damaged_pickle(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    buffer = io.BytesIO()
    torch.save({"gating.a": torch.ones(3), "local_experts.0": torch.zeros(2, 2)}, buffer)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pt"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    tried(path)
