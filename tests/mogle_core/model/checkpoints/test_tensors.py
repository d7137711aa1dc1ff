"""Impossible numbers, tensors and sizes get a sentence each, and take no more memory than the file's size explains."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoint_files import stored
from support.places import DATA
from torch import Tensor

from mogle_core.model.checkpoints.files import read
from mogle_core.support.errors import WeightsError

FIELD = DATA / "field"
GOLDEN = DATA / "golden"
LORA = load_file(GOLDEN / "pytorch_lora_weights.safetensors")
MODULE = "transformer_blocks.0.attn.to_q"


FIELD_SENTENCES = {
    "int_lora": "int64, not floating-point",
    "rank0": "empty .rank 0.",
    "alpha2": r"is \(2,\) of torch.float32; it must be one number",
    "alpha_nan": "alpha .* is nan",
    "meta_deep": "nested too deeply",
    "meta_hugeint": "cannot be read",
}


@pytest.mark.parametrize("name", FIELD_SENTENCES)
def test_files_of_the_field_have_a_sentence_each(name: str) -> None:
    begun = time.process_time()
    with pytest.raises(WeightsError, match=f"{name}.safetensors: .*{FIELD_SENTENCES[name]}"):
        read(FIELD / f"{name}.safetensors")
    assert time.process_time() - begun < 5


def test_a_lora_in_eight_bit_floats_is_read() -> None:
    found = read(FIELD / "fp8_lora.safetensors").lora
    (part,) = found.parts("double_blocks.0.img_attn.qkv")
    assert part.down.dtype == torch.float32
    expected = load_file(FIELD / "fp8_lora.safetensors")
    assert torch.equal(part.up, expected[f"transformer.{MODULE}.lora_B.weight"].float())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float16])
def test_every_float_is_read(dtype: torch.dtype, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", {name: tensor.to(dtype) for name, tensor in LORA.items()})
    update = read(path).lora.low_rank()["img_in"]
    assert torch.equal(update.up.float(), LORA["transformer.x_embedder.lora_B.weight"].to(dtype).float())


def pair(down: Tensor, up: Tensor, **more: Tensor) -> dict[str, Tensor]:
    name = f"transformer.{MODULE}"
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up} | {f"{name}.{k}": v for k, v in more.items()}


BAD = {
    "int8": (pair(torch.ones(2, 6, dtype=torch.int8), torch.ones(6, 2)), "int8, not floating-point"),
    "bool": (pair(torch.ones(2, 6), torch.ones(6, 2, dtype=torch.bool)), "bool, not floating-point"),
    "complex": (pair(torch.ones(2, 6, dtype=torch.complex64), torch.ones(6, 2)), "complex64, not floating-point"),
    "NaN": (pair(torch.full((2, 6), math.nan), torch.ones(6, 2)), "NaN or infinite"),
    "infinite": (pair(torch.ones(2, 6), torch.full((6, 2), math.inf)), "NaN or infinite"),
    "rank 0": (pair(torch.ones(0, 6), torch.ones(6, 0)), "rank 0"),
    "no rows": (pair(torch.ones(2, 6), torch.ones(0, 2)), "is empty"),
    "empty alpha": (pair(torch.ones(2, 6), torch.ones(6, 2), alpha=torch.ones(0)), "must be one number"),
    "infinite alpha": (pair(torch.ones(2, 6), torch.ones(6, 2), alpha=torch.tensor(math.inf)), "alpha .* is inf"),
    "complex alpha": (pair(torch.ones(2, 6), torch.ones(6, 2), alpha=torch.tensor(1j)), "must be one number"),
    "too many rows": (pair(torch.ones(2, 6), torch.ones(6000, 2)), "acts on 6000 rows"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_bad_numbers_have_a_sentence_each(case: str, ending: str, tmp_path: Path) -> None:
    tensors, sentence = BAD[case]
    path = tmp_path / f"lora.{ending}"
    stored(path, tensors) if ending == "safetensors" else torch.save(tensors, path)
    with pytest.raises(WeightsError, match=f"lora.{ending}: .*{sentence}"):
        read(path)


PICKLED = {
    "sparse": (torch.eye(6).to_sparse(), "is sparse; a checkpoint holds plain tensors"),
    "sparse rows": (torch.eye(6).to_sparse_csr(), "is sparse; a checkpoint holds plain tensors"),
    "sparse blocks": (torch.eye(6).to_sparse_bsr((2, 2)), "is sparse; a checkpoint holds plain tensors"),
    "meta": (torch.empty(2, 6, device="meta"), r"is without data \(on the meta device\)"),
    "quantised": (torch.quantize_per_tensor(torch.ones(2, 6), 0.1, 0, torch.qint8), "is quantised"),
    "nested": (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "is nested"),
    "repeated": (torch.zeros(1, 1).expand(1 << 20, 1 << 14), "claims .* bytes of tensors"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", PICKLED)
def test_pickled_tensors_without_plain_data_are_refused(case: str, tmp_path: Path) -> None:
    tensor, sentence = PICKLED[case]
    torch.save(LORA | {f"transformer.{MODULE}.lora_A.weight": tensor}, tmp_path / "lora.pt")
    with pytest.raises(WeightsError, match=rf"lora\.pt.*{sentence}"):
        read(tmp_path / "lora.pt")


def test_a_packed_pickle_is_not_unpacked(tmp_path: Path) -> None:
    torch.save({"gating.x": torch.zeros(1 << 22)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "mogle.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in plain.namelist():
            packed.writestr(member, plain.read(member))
    assert os.path.getsize(tmp_path / "mogle.pt") < 1 << 20
    with pytest.raises(WeightsError, match="packed and would unpack"):
        read(tmp_path / "mogle.pt")


def test_a_networks_numbers_are_checked_as_well(tmp_path: Path) -> None:
    official = torch.load(GOLDEN / "global_local_mask_moe.pt", weights_only=True)
    official["gating.noise_proj.weight"] = torch.full((64, 64), math.nan)
    torch.save(official, tmp_path / "mogle.pt")
    with pytest.raises(WeightsError, match="gating.noise_proj.weight' holds NaN"):
        read(tmp_path / "mogle.pt")
    official["gating.noise_proj.weight"] = torch.ones(64, 64, dtype=torch.int32)
    torch.save(official, tmp_path / "mogle.pt")
    with pytest.raises(WeightsError, match="int32, not floating-point"):
        read(tmp_path / "mogle.pt")


def header(**tensors: object) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def old_form(tensor: Tensor, found: bytes, instead: bytes) -> bytes:
    """A file as before torch 1.6 in which the storage claims another number of elements."""
    buffer = io.BytesIO()
    torch.save({f"transformer.{MODULE}.lora_A.weight": tensor}, buffer, _use_new_zipfile_serialization=False)
    assert found in buffer.getvalue()
    return buffer.getvalue().replace(found, instead)


A = f"transformer.{MODULE}.lora_A.weight"
WIDE = {"dtype": "F32", "shape": [1 << 30, 1 << 20], "data_offsets": [0, 1 << 52]}
ABSURD = {
    "a header of 2^60 bytes.safetensors": (1 << 60).to_bytes(8, "little") + b"{}",
    "a header of 99 MB.safetensors": (99_000_000).to_bytes(8, "little") + b"{}",
    "a shape without bytes.safetensors": header(**{A: WIDE}),
    "a shape that overflows.safetensors": header(**{A: {**WIDE, "shape": [1 << 62] * 2, "data_offsets": [0, 16]}}),
    "a wide tensor of no rows.safetensors": header(**{A: {**WIDE, "shape": [1 << 40, 0], "data_offsets": [0, 0]}}),
    "ten thousand empty tensors.safetensors": header(
        **{f"{A}{n}": {**WIDE, "shape": [0], "data_offsets": [0, 0]} for n in range(10_000)}
    ),
    "2^34 elements.pt": old_form(torch.zeros(2, 6), b"K\x0c", b"\x8a\x05" + (1 << 34).to_bytes(5, "little")),
    "2^60 elements.pt": old_form(torch.zeros(2, 6), b"K\x0c", b"\x8a\x08" + (1 << 60).to_bytes(8, "little")),
}


def resident() -> int:
    """The most KiB that this process occupied so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) >> (10 if sys.platform == "darwin" else 0)


@pytest.mark.parametrize("name", ABSURD)
def test_a_file_that_declares_absurd_sizes_takes_memory_by_its_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(ABSURD[name])
    with pytest.raises(WeightsError):
        read(path)  # imports what it needs
    before = resident()
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as raised:
            read(path)
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert name in str(raised.value)
    assert highest < 40 * len(ABSURD[name]) + (1 << 19)
    assert resident() - before < 64 << 10, "torch's own memory is not traced"
