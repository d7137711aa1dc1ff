"""LoRA files as trainers write them: equivalent ones read alike, all others refused in a sentence that is true."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import shutil
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

from mogle_core.model.checkpoints.convert import convert
from mogle_core.model.checkpoints.files import read, read_lora, save
from mogle_core.model.checkpoints.lora_metadata import style_of
from mogle_core.model.checkpoints.recipe import Recipe
from mogle_core.model.stream.lora import LoRAError, MaskLoRA, parse
from mogle_core.support.errors import WeightsError

FIELD = DATA / "field"
GOLDEN = DATA / "golden"
LORA = load_file(GOLDEN / "pytorch_lora_weights.safetensors")
MODULE = "transformer_blocks.0.attn.to_q"


def renamed(change) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
    """The official LoRA with `change(module, side)` for its names."""
    tensors = {}
    for name, tensor in LORA.items():
        module, side, _ = name.removeprefix("transformer.").rsplit(".", 2)
        tensors[change(module, side)] = tensor
    return tensors


def kohya(side: str) -> str:
    return {"lora_A": "lora_down", "lora_B": "lora_up"}[side]


NAMINGS = {
    "official": lambda m, s: f"transformer.{m}.{s}.weight",
    "bare": lambda m, s: f"{m}.{s}.weight",
    "OneTrainer": lambda m, s: f"lora_transformer_{m.replace('.', '_')}.{kohya(s)}.weight",
    "lora_unet_ and underscores": lambda m, s: f"lora_unet_{m.replace('.', '_')}.{kohya(s)}.weight",
    "lora_unet_ and dots": lambda m, s: f"lora_unet_{m}.{kohya(s)}.weight",
    "PEFT": lambda m, s: f"base_model.model.{m}.{s}.weight",
    "PEFT of a pipeline": lambda m, s: f"base_model.model.transformer.{m}.{s}.weight",
    "PEFT, default adapter": lambda m, s: f"base_model.model.{m}.{s}.default.weight",
    "named adapter": lambda m, s: f"transformer.{m}.{s}.faces_2.weight",
    "adapter without weight": lambda m, s: f"transformer.{m}.{s}.default",
    "compiled": lambda m, s: f"transformer._orig_mod.{m}.{s}.weight",
    "old diffusers": lambda m, s: f"transformer.{m}.lora.{kohya(s).removeprefix('lora_')}.weight",
    "diffusion_model": lambda m, s: f"diffusion_model.{m}.{s}.weight",
    "ComfyUI's": lambda m, s: f"model.diffusion_model.{m}.{s}.weight",
    "DDP": lambda m, s: f"module.transformer.{m}.{s}.weight",
}


def equal(one: MaskLoRA, other: MaskLoRA) -> bool:
    first, second = one.low_rank(), other.low_rank()
    return first.keys() == second.keys() and all(
        torch.equal(first[name].up, second[name].up) and torch.equal(first[name].down, second[name].down)
        for name in first
    )


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_trainers_naming_is_the_same_lora(naming: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", renamed(NAMINGS[naming]))
    assert equal(read_lora(path).lora, parse(LORA))


@pytest.mark.parametrize("name", ["lora.sft", "LORA.SAFETENSORS", "lora.Safetensors", "lora.SFT"])
def test_endings_in_any_form_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    shutil.copy(GOLDEN / "pytorch_lora_weights.safetensors", path)
    assert equal(read_lora(path).lora, parse(LORA))


def test_a_network_with_its_ending_in_capitals_is_read(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "global_local_mask_moe.pt", tmp_path / "MOGLE.PT")
    assert read(tmp_path / "MOGLE.PT").network is not None


def test_xlabs_names_are_read() -> None:
    pair = {"lora1.down": torch.randn(2, 6), "lora1.up": torch.randn(18, 2)}
    found = parse({f"double_blocks.0.processor.qkv_{side}.weight": tensor for side, tensor in pair.items()})
    assert torch.equal(found.low_rank()["double_blocks.0.img_attn.qkv"].down, pair["lora1.down"])
    with pytest.raises(LoRAError, match="mask tokens never pass"):
        parse({f"double_blocks.0.processor.proj_lora2.{side}.weight": torch.ones(2, 2) for side in ("down", "up")})


def test_two_adapters_in_one_file_are_refused() -> None:
    tensors = renamed(NAMINGS["PEFT, default adapter"]) | renamed(NAMINGS["named adapter"])
    with pytest.raises(LoRAError, match="several adapters.*'default', 'faces_2'"):
        parse(tensors)


METHODS = {
    "DoRA": {f"transformer.{MODULE}.dora_scale": torch.ones(4)},
    "DoRA of PEFT": {f"base_model.model.{MODULE}.lora_magnitude_vector.default.weight": torch.ones(4)},
    "LoKr": {f"lycoris_{MODULE.replace('.', '_')}.lokr_w1": torch.ones(2, 2)},
    "LoHa": {f"lora_unet_{MODULE.replace('.', '_')}.hada_w1_a": torch.ones(2, 2)},
    "OFT": {f"transformer.{MODULE}.oft_blocks": torch.ones(2, 2)},
    "LoCon": {f"lora_unet_{MODULE.replace('.', '_')}.lora_mid.weight": torch.ones(2, 2)},
}


@pytest.mark.parametrize("method", METHODS)
def test_other_methods_are_refused_by_their_name(method: str, tmp_path: Path) -> None:
    for number, more in enumerate(({}, LORA)):
        path = stored(tmp_path / f"{number}.safetensors", {**METHODS[method], **more})
        with pytest.raises(WeightsError, match=f"This is a {method.split()[0]}, not a LoRA"):
            read(path)


def alpha_of(metadata: dict[str, str], tmp_path: Path, module: str = "img_in") -> float:
    path = stored(tmp_path / "lora.safetensors", LORA, metadata)
    return read(path).lora.parts(module)[0].alpha


def adapter(**values: object) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"transformer.{name}": value for name, value in values.items()})}


@pytest.mark.parametrize(
    ("metadata", "alpha"),
    [
        (adapter(lora_alpha="8", r=4), 8),
        (adapter(lora_alpha=" 2.5 ", r=4), 2.5),
        (adapter(lora_alpha=8, r=4, use_rslora=True), 16),
        (adapter(lora_alpha=8, r=4, use_rslora="true"), 16),
        (adapter(lora_alpha=8, r=4, use_rslora="Yes"), 16),
        (adapter(lora_alpha=8, r=4, use_rslora="1"), 16),
        (adapter(lora_alpha=8, r=4, use_rslora=1), 16),
        (adapter(lora_alpha=8, r=4, use_rslora=False), 8),
        (adapter(lora_alpha=8, r=4, use_rslora="no", peft_type="LORA"), 8),
        (adapter(lora_alpha=8, r=4, use_rslora=None), 8),
        (adapter(lora_alpha=8, r=4, alpha_pattern={"x_embedder": 3}), 3),
        (adapter(lora_alpha=8, r=4, alpha_pattern={"^x_embedder$": "3"}), 3),
        (adapter(lora_alpha=8, r=4, alpha_pattern={"to_q": 3}), 8),
        (adapter(lora_alpha=8, r=16, rank_pattern={"x_embedder": 4}), 8),
        ({"ss_network_alpha": "2"}, 2),
        ({"ss_network_alpha": "2.0", "ss_network_dim": "4"}, 2),
        ({"ss_network_alpha": "None"}, 4),
        ({"ss_network_alpha": "2", **adapter(lora_alpha=8)}, 8),
        ({}, 4),
    ],
)
def test_the_scale_is_what_the_metadata_says(metadata: dict[str, str], alpha: float, tmp_path: Path) -> None:
    assert alpha_of(metadata, tmp_path) == pytest.approx(alpha)


def test_alpha_tensors_count_before_any_metadata(tmp_path: Path) -> None:
    tensors = LORA | {"transformer.x_embedder.alpha": torch.tensor(1.0)}
    path = stored(tmp_path / "lora.safetensors", tensors, adapter(lora_alpha=8, r=4, use_rslora=True))
    assert read(path).lora.parts("img_in")[0].alpha == 1


def test_the_configuration_beside_pefts_file_counts(tmp_path: Path) -> None:
    path = stored(tmp_path / "adapter_model.safetensors", renamed(NAMINGS["PEFT"]))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8, "use_rslora": True}))
    assert read(path).lora.parts("img_in")[0].alpha == 16


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_the_configuration_beside_pefts_file_is_read_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "adapter_model.safetensors", renamed(NAMINGS["PEFT"]))
    config = json.dumps({"r": 4, "lora_alpha": 8, "base_model_name_or_path": "größer"}, ensure_ascii=False)
    (tmp_path / "adapter_config.json").write_bytes(config.encode(encoding))
    assert read(path).lora.parts("img_in")[0].alpha == 8


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"lora_alpha": 8' + b" " * (1 << 20) + b"}", "adapter_config.json has .* bytes and is not read"),
        (b"\0\1\2", "scale is not known.*adapter_config.json: this is not a text file"),
        (b'{"peft_type": "LOKR"}', "This is LOKR, not LoRA"),
        (b'{"use_rslora": true}', "use_rslora, but no lora_alpha"),
    ],
)
def test_a_configuration_beside_it_that_is_not_read_is_an_error(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "adapter_model.safetensors", renamed(NAMINGS["PEFT"]))
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=sentence):
        read(path)


TEXT_ENCODERS = [
    "lora_te1_text_model_encoder_layers_0_mlp_fc1",
    "lora_te_text_model_encoder_layers_0_mlp_fc1",
    "lora_te2_encoder_block_0_layer_0_SelfAttention_q",
    "text_encoder.text_model.encoder.layers.0.mlp.fc1",
    "text_encoder_2.encoder.block.0.layer.0.SelfAttention.q",
    "base_model.model.text_model.encoder.layers.0.mlp.fc1",
    "te1.text_model.encoder.layers.0.mlp.fc1",
]


@pytest.mark.parametrize("module", TEXT_ENCODERS)
def test_a_text_encoders_part_has_its_sentence(module: str) -> None:
    """The file was not made for another base model."""
    more = {f"{module}.lora_down.weight": torch.ones(4, 8), f"{module}.lora_up.weight": torch.ones(8, 4)}
    for tensors in (LORA | more, more):
        with pytest.raises(LoRAError, match="acts on a text encoder as well .*ordinary FLUX LoRA") as raised:
            parse(tensors)
        assert "another base model" not in str(raised.value)


@pytest.mark.parametrize("key", ["lora_B.bias", "lora_up.bias", "lora_B.default.bias", "lora_A.bias"])
def test_biases_are_refused_by_their_name(key: str) -> None:
    with pytest.raises(LoRAError, match="has biases .*lora_bias"):
        parse(LORA | {f"transformer.{MODULE}.{key}": torch.ones(64)})


@pytest.mark.parametrize(
    "note",
    [
        {"mogle.gate_timestep": "sometimes"},
        {"mogle.gate_timestep": "train"},
        {"mogle.latent_lora": "perhaps"},
        {"mogle.add_cond_attn": "2"},
        {"mogle.stream": "fast"},
    ],
)
def test_a_note_that_is_not_known_is_refused(note: dict[str, str], tmp_path: Path) -> None:
    ((name, value),) = note.items()
    path = stored(tmp_path / "lora.safetensors", LORA, note)
    with pytest.raises(WeightsError, match=f"lora.safetensors: The file's {name} is '{value}', and this version knows"):
        read(path)


@pytest.mark.parametrize(
    ("value", "found"), [("training", "training"), (" Training ", "training"), ("SAMPLING", "sampling")]
)
def test_a_note_is_read_in_any_case(value: str, found: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "lora.safetensors", LORA, {"mogle.gate_timestep": value})
    assert read(path).recipe.gate_timestep == found


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        (adapter(use_dora=True, lora_alpha=8), "This is a DoRA"),
        (adapter(use_dora="yes", lora_alpha=8), "This is a DoRA"),
        (adapter(use_rslora="perhaps", lora_alpha=8), "use_rslora is 'perhaps', not true or false"),
        (adapter(use_rslora=[1], lora_alpha=8), "not true or false"),
        (adapter(peft_type="LOHA", lora_alpha=8), "This is LOHA, not LoRA"),
        (adapter(peft_type="ADALORA", lora_alpha=8), "This is ADALORA, not LoRA"),
        (adapter(lora_alpha=float("nan")), "not a finite number"),
        (adapter(lora_alpha=float("inf")), "not a finite number"),
        (adapter(lora_alpha=True), "not a finite number"),
        (adapter(use_rslora=True), "use_rslora, but no lora_alpha"),
        (adapter(lora_alpha=8, alpha_pattern=[1]), "not a table"),
        (adapter(lora_alpha=8, alpha_pattern={"x_embedder": "wide"}), "other than numbers"),
        (adapter(lora_alpha=8, alpha_pattern={"(a+)+$": 2}), "for the expression"),
        (adapter(lora_alpha=8, rank_pattern={"x_embedder": 7}), "has rank 4; rank_pattern in the metadata says 7"),
        ({"lora_adapter_metadata": "[" * 100_000}, "nested too deeply"),
        ({"lora_adapter_metadata": '{"lora_alpha": ' + "9" * 5000 + "}"}, "cannot be read"),
        ({"lora_adapter_metadata": '{"a": "' + "x" * (1 << 21) + '"}'}, "characters, which is not read"),
        ({"lora_adapter_metadata": '{"lora_alpha": 1' + "0" * 400 + "}"}, "not a finite number"),
    ],
)
def test_a_scale_that_is_not_known_is_an_error(metadata: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"lora.safetensors: .*{sentence}"):
        alpha_of(metadata, tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", '{"lora_alpha": "all"}'])
def test_metadata_that_cannot_be_read_is_a_warning(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert alpha_of({"lora_adapter_metadata": text}, tmp_path) == 4
    assert "alpha = rank is assumed" in caplog.text


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


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_network_module": "networks.lora_flux", "ss_output_name": "watercolour"},
        {"modelspec.architecture": "flux-1-dev/lora", "modelspec.title": "Watercolour"},
        {"software": "{'name': 'ai-toolkit'}", "name": "watercolour"},
        {"trigger_word": "wtrclr"},
    ],
)
def test_metadata_of_a_style_says_so(metadata: dict[str, str]) -> None:
    assert style_of(metadata) is not None
    assert style_of({**metadata, "mogle.gate_timestep": "training"}) is None


def test_our_own_and_the_official_file_are_no_style(tmp_path: Path) -> None:
    assert style_of(read(GOLDEN / "pytorch_lora_weights.safetensors").metadata) is None
    save(tmp_path / "both.safetensors", None, parse(LORA), Recipe())
    assert style_of(read(tmp_path / "both.safetensors").metadata) is None


def combined(path: Path, recipe: Recipe) -> Path:
    save(path, read(GOLDEN / "global_local_mask_moe.pt").network, parse(LORA), recipe)
    return path


def test_what_the_official_form_loses_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = combined(tmp_path / "both.safetensors", Recipe("training", "farl", 256))
    with caplog.at_level(logging.WARNING):
        convert([source], tmp_path / "pair", "official")
    assert "no place for the gate's timestep, which is 'training'" in caplog.text
    assert "label_space = farl, resolution = 256" in caplog.text


def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    convert([combined(tmp_path / "a.safetensors", Recipe())], tmp_path / "pair", "official")
    trained = combined(tmp_path / "b.safetensors", Recipe("training", "farl"))
    convert([trained], tmp_path / "c.safetensors", "combined")
    convert([trained], tmp_path / "plain", "safetensors")
    assert caplog.text == ""
    assert read(tmp_path / "plain/mogle.safetensors").recipe.gate_timestep == "training"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_written_files_follow_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    source = combined(tmp_path / "both.safetensors", Recipe())
    before = os.umask(umask)
    try:
        written = convert([source], tmp_path / "pair", "official")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in written} == {mode}


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
