"""The mask stream's LoRA: every naming gives the same update, and every mistake an error message."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from support.places import DATA
from support.small_weights import lora_weights
from torch import Tensor

from mogle_core.model.stream.layer_names import from_diffusers, to_diffusers
from mogle_core.model.stream.lora import FusedLoRA, LoRAError, LoRAPart, LowRank, MaskLoRA, fuse, parse, write

GOLDEN = DATA / "golden" / "pytorch_lora_weights.safetensors"
HIDDEN, RANK, ALPHA = 6, 2, 3.0

# BFL's layer: (rows, inputs) in hidden widths. One of every kind that the official LoRA has.
LAYERS = {
    "double_blocks.1.img_mod.lin": (6, 1),
    "double_blocks.1.img_attn.qkv": (3, 1),
    "double_blocks.1.img_attn.proj": (1, 1),
    "double_blocks.1.img_mlp.2": (1, 4),
    "single_blocks.0.modulation.lin": (3, 1),
    "single_blocks.0.linear1": (7, 1),
    "single_blocks.0.linear2": (1, 5),
}


def fused_pairs() -> dict[str, tuple[Tensor, Tensor]]:
    """One (down, up) for each of BFL's layers, as kohya's tools train them."""
    generator = torch.Generator().manual_seed(0)
    pairs = {"img_in": (torch.randn(RANK, 64, generator=generator), torch.randn(HIDDEN, RANK, generator=generator))}
    for layer, (rows, inputs) in LAYERS.items():
        down = torch.randn(RANK, inputs * HIDDEN, generator=generator)
        pairs[layer] = down, torch.randn(rows * HIDDEN, RANK, generator=generator)
    return pairs


def spelled(naming: str, alpha: float = ALPHA) -> dict[str, Tensor]:
    """The same update, once in each naming."""
    tensors: dict[str, Tensor] = {}
    for layer, (down, up) in fused_pairs().items():
        if naming == "kohya":
            prefix, sides = f"lora_unet_{layer.replace('.', '_')}", ("lora_down.weight", "lora_up.weight")
        elif naming == "bfl":
            prefix, sides = f"diffusion_model.{layer}", ("lora_A.weight", "lora_B.weight")
        else:  # diffusers: q, k, v and the MLP are modules of their own that share `down`
            sizes = [HIDDEN] * 3 + [4 * HIDDEN] if layer.endswith("linear1") else [HIDDEN] * 3
            rows = up.split(sizes) if len(to_diffusers(layer)) > 1 else [up]
            for module, part in zip(to_diffusers(layer), rows, strict=False):
                name = f"{naming}{module}"
                tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": part}
                tensors[f"{name}.alpha"] = torch.tensor(alpha)
            continue
        tensors |= {f"{prefix}.{sides[0]}": down, f"{prefix}.{sides[1]}": up, f"{prefix}.alpha": torch.tensor(alpha)}
    return tensors


def official_modules(double: int, single: int) -> list[str]:
    """The modules of the official LoRA."""
    in_double = ("norm1.linear", "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "ff.net.2")
    in_single = ("norm.linear", "proj_mlp", "proj_out", "attn.to_q", "attn.to_k", "attn.to_v")
    return [
        "x_embedder",
        *(f"transformer_blocks.{i}.{module}" for i in range(double) for module in in_double),
        *(f"single_transformer_blocks.{i}.{module}" for i in range(single) for module in in_single),
    ]


def official_tensors(double: int, single: int, hidden: int, rank: int) -> dict[str, Tensor]:
    outputs = {"norm1.linear": 6, "norm.linear": 3, "proj_mlp": 4}
    inputs = {"ff.net.2": 4, "proj_out": 5}
    tensors = {}
    for module in official_modules(double, single):
        layer = module.split(".", 2)[-1]
        fan_in = 64 if module == "x_embedder" else inputs.get(layer, 1) * hidden
        name = f"transformer.{module}"
        # Expanded from one zero: of the full shape, without the memory.
        tensors[f"{name}.lora_A.weight"] = torch.zeros(1, 1).expand(rank, fan_in)
        tensors[f"{name}.lora_B.weight"] = torch.zeros(1, 1).expand(outputs.get(layer, 1) * hidden, rank)
    return tensors


def delta(update: LowRank) -> Tensor:
    return update.up @ update.down


def deltas(tensors: dict[str, Tensor], strength: float = 1.0) -> dict[str, Tensor]:
    return {name: delta(update) for name, update in parse(tensors).low_rank(strength).items()}


def test_flux_dev_has_343_modules() -> None:
    tensors = official_tensors(19, 38, 3072, 4)
    lora = parse(tensors)
    assert len(tensors) == 686 == len(list(lora.parameters()))
    assert sum(parameter.numel() for parameter in lora.parameters()) == 14_487_808
    assert len(lora.rows) == 1 + 19 * 4 + 38 * 3
    assert lora.width == 3072
    written = write(lora)
    assert {name for name in written if not name.endswith(".alpha")} == tensors.keys()
    assert {name: tensor.shape for name, tensor in written.items() if name in tensors} == {
        name: tensor.shape for name, tensor in tensors.items()
    }


def test_writing_what_was_read_is_the_file_with_its_alphas() -> None:
    tensors = load_file(GOLDEN)
    written = write(parse(tensors))
    for name, tensor in tensors.items():
        assert torch.equal(written.pop(name), tensor)
    assert written.keys() == {name.replace("lora_A.weight", "alpha") for name in tensors if "lora_A" in name}
    assert {alpha.item() for alpha in written.values()} == {4.0}


def test_fused_update_is_the_separate_ones_side_by_side() -> None:
    tensors, x = load_file(GOLDEN), torch.randn(2, 5, 64)
    update = parse(tensors).low_rank()["single_blocks.2.linear1"]
    separate = []
    for module in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"):
        name = f"transformer.single_transformer_blocks.2.{module}"
        separate.append(x @ tensors[f"{name}.lora_A.weight"].T @ tensors[f"{name}.lora_B.weight"].T)
    assert update.down.shape == (16, 64)
    torch.testing.assert_close(update(x), torch.cat(separate, -1))


def test_fuse_is_exact_for_unequal_ranks_and_alphas() -> None:
    torch.manual_seed(0)
    parts = [
        LoRAPart(0, torch.randn(1, 5, dtype=torch.double), torch.randn(5, 1, dtype=torch.double), 1.0),
        LoRAPart(5, torch.randn(3, 5, dtype=torch.double), torch.randn(5, 3, dtype=torch.double), 0.5),
        LoRAPart(15, torch.randn(2, 5, dtype=torch.double), torch.randn(7, 2, dtype=torch.double), 8.0),
    ]
    expected = torch.zeros(22, 5, dtype=torch.double)
    for part in parts:
        expected[part.start : part.stop] = 0.7 * part.alpha / part.rank * part.up @ part.down
    torch.testing.assert_close(delta(fuse(parts, 0.7)), expected)


@pytest.mark.parametrize("naming", ["kohya", "bfl", "transformer.", ""])
def test_every_naming_is_the_same_update(naming: str) -> None:
    found = deltas(spelled(naming))
    assert found.keys() == fused_pairs().keys()
    for layer, (down, up) in fused_pairs().items():
        torch.testing.assert_close(found[layer], ALPHA / RANK * up @ down)


@pytest.mark.parametrize("naming", ["kohya", "bfl", "transformer."])
def test_written_in_the_official_form_it_is_still_the_same_update(naming: str) -> None:
    lora = parse(spelled(naming))
    written = write(lora)
    assert all(name.startswith("transformer.") for name in written)
    modules = {name.removeprefix("transformer.").rsplit(".lora_", 1)[0] for name in written if ".lora_" in name}
    assert all(from_diffusers(module) for module in modules)
    again = parse(written)
    assert again.rows.keys() == lora.rows.keys()
    for layer, update in lora.low_rank().items():
        torch.testing.assert_close(delta(again.low_rank()[layer]), delta(update))


def test_kohya_qkv_is_written_once_for_each_module() -> None:
    written = write(parse(spelled("kohya")))
    for layer, modules in (("double_blocks.1.img_attn.qkv", 3), ("single_blocks.0.linear1", 4)):
        for module in to_diffusers(layer)[:modules]:
            rows = written[f"transformer.{module}.lora_B.weight"].shape[0]
            assert rows == (4 if module.endswith("proj_mlp") else 1) * HIDDEN


def test_default_adapter_names_of_peft() -> None:
    renamed = {name.replace(".weight", ".default.weight"): tensor for name, tensor in spelled("transformer.").items()}
    for layer, found in deltas(renamed).items():
        torch.testing.assert_close(found, deltas(spelled("transformer."))[layer])


def test_strength_is_linear_and_alpha_means_alpha_over_rank() -> None:
    whole, half, none = (deltas(spelled("kohya"), strength) for strength in (1.0, 0.5, 0.0))
    reverse, six = deltas(spelled("kohya"), -1.0), deltas(spelled("kohya", alpha=2 * ALPHA))
    for layer, update in whole.items():
        torch.testing.assert_close(half[layer], update / 2)
        torch.testing.assert_close(reverse[layer], -update)
        torch.testing.assert_close(six[layer], 2 * update)
        assert not none[layer].any()


def test_without_an_alpha_it_is_the_rank_or_the_metadata() -> None:
    tensors = {name: tensor for name, tensor in spelled("kohya").items() if not name.endswith(".alpha")}
    down, up = fused_pairs()["img_in"]
    torch.testing.assert_close(delta(parse(tensors).low_rank()["img_in"]), up @ down)
    torch.testing.assert_close(delta(parse(tensors, default_alpha=1.0).low_rank()["img_in"]), up @ down / RANK)
    # A pair's own alpha comes before the metadata's.
    assert parse(spelled("kohya"), default_alpha=1.0).parts("img_in")[0].alpha == ALPHA


@pytest.mark.parametrize(("module", "start"), [("to_q", 0), ("to_k", HIDDEN), ("to_v", 2 * HIDDEN)])
def test_one_of_q_k_v_alone_acts_on_its_rows(module: str, start: int) -> None:
    down, up = torch.randn(RANK, HIDDEN), torch.randn(HIDDEN, RANK)
    name = f"transformer.transformer_blocks.0.attn.{module}"
    tensors = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    lora = parse(tensors)
    update = lora.low_rank()["double_blocks.0.img_attn.qkv"]
    found = torch.zeros(3 * HIDDEN, HIDDEN)
    found[: update.up.shape[0]] = delta(update)
    expected = torch.zeros_like(found)
    expected[start : start + HIDDEN] = up @ down
    torch.testing.assert_close(found, expected)
    written = write(lora)
    assert {key for key in written if "lora" in key} == tensors.keys()
    assert all(torch.equal(written[key], tensor) for key, tensor in tensors.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_weights_are_the_update_in_another_dtype(dtype: torch.dtype) -> None:
    lora = parse(load_file(GOLDEN))
    fused = FusedLoRA(lora, dtype, strength=0.5)
    assert fused.width == lora.width == 64
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert len(list(fused.parameters())) == 2 * len(lora.rows)
    expected = lora.low_rank(0.5)
    assert fused.low_rank().keys() == expected.keys()
    for name, update in fused.low_rank().items():
        assert torch.equal(update.down, expected[name].down.to(dtype))
        assert torch.equal(update.up, expected[name].up.to(dtype))


def test_fused_weights_are_a_copy() -> None:
    lora = parse(load_file(GOLDEN))
    before = {name: tensor.clone() for name, tensor in lora.state_dict().items()}
    for parameter in FusedLoRA(lora, torch.float32).parameters():
        parameter.data.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in lora.state_dict().items())


def test_update_is_differentiable_down_to_each_pair() -> None:
    lora = parse(spelled("transformer."))
    sum(delta(update).square().sum() for update in lora.low_rank(0.5).values()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in lora.parameters())


@pytest.mark.parametrize("layer", ["img_in", "double_blocks.1.img_attn.qkv", "double_blocks.1.img_mlp.2"])
def test_the_width_is_read_from_any_layer(layer: str) -> None:
    tensors = {name: tensor for name, tensor in spelled("bfl").items() if f".{layer}." in name}
    assert parse(tensors).width == HIDDEN


def pair(module: str, rank: int = 2, fan_in: int = HIDDEN, fan_out: int = HIDDEN) -> dict[str, Tensor]:
    return {f"{module}.lora_A.weight": torch.zeros(rank, fan_in), f"{module}.lora_B.weight": torch.zeros(fan_out, rank)}


QKV = "transformer.transformer_blocks.0.attn"
WRONG = {
    "left over": (pair("img_in") | {"img_in.diff": torch.zeros(1)}, r"1 tensors .* no LoRA pair.*'img_in\.diff'"),
    "magnitude": (pair("img_in") | {"img_in.dora_scale": torch.zeros(1)}, "dora_scale"),
    "no up": ({"img_in.lora_A.weight": torch.zeros(2, 6)}, "'img_in' is incomplete"),
    "no down": (pair(f"{QKV}.to_q") | {f"{QKV}.to_k.lora_B.weight": torch.zeros(6, 2)}, "to_k' is incomplete"),
    "alpha only": (pair("img_in") | {f"{QKV}.to_k.alpha": torch.tensor(1.0)}, "alpha for .*to_k' but no LoRA pair"),
    "empty": ({}, "holds no LoRA pair"),
    "ranks differ": (pair("img_in") | {"img_in.lora_B.weight": torch.zeros(6, 3)}, r"\(2, 6\) and up is \(6, 3\)"),
    "convolution": (pair("img_in") | {"img_in.lora_A.weight": torch.zeros(2, 6, 1, 1)}, r"\(2, 6, 1, 1\)"),
    "two models": (pair("img_in", fan_in=64) | pair(f"{QKV}.to_out.0", fan_in=8, fan_out=8), r"\[6, 8\]"),
    "text stream": (pair("transformer.transformer_blocks.0.attn.add_k_proj"), "never pass.*ComfyUI's own LoRA loader"),
    "final layer": (pair("diffusion_model.final_layer.linear"), "never pass"),
    "q and k of different widths": (pair(f"{QKV}.to_q") | pair(f"{QKV}.to_k", fan_in=8, fan_out=8), "different width"),
    "q taller than its rows": (pair(f"{QKV}.to_q", fan_out=12) | pair(f"{QKV}.to_k"), "same rows"),
    "fused and separate": (pair(f"{QKV}.to_q") | pair("double_blocks.0.img_attn.qkv", fan_out=18), "mixes two namings"),
    "same module twice": (pair("x_embedder") | pair("img_in"), "mixes two namings"),
    "same pair twice": (
        pair("img_in") | {"img_in.lora_down.weight": torch.ones(2, 6), "img_in.lora_up.weight": torch.ones(6, 2)},
        "two LoRA pairs for 'img_in'",
    ),
    "SDXL": (pair("lora_unet_down_blocks_1_attentions_0_proj_in"), "another base model"),
    "SDXL of diffusers": (pair("unet.down_blocks.1.transformer_blocks.0.attn1.to_q"), "another base model"),
    "text encoder": (pair("lora_te1_text_model_encoder_layers_0_mlp_fc1"), "acts on a text encoder as well"),
}


@pytest.mark.parametrize(("tensors", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_reported(tensors: dict[str, Tensor], sentence: str) -> None:
    with pytest.raises(LoRAError, match=sentence):
        parse(tensors)


@pytest.mark.parametrize("naming", ["bfl", "kohya"])
def test_an_ordinary_flux_lora_is_refused_at_its_text_layers(naming: str) -> None:
    ordinary = lora_weights(naming=naming)
    for name in list(ordinary):
        ordinary[name.replace("img_attn", "txt_attn")] = ordinary[name]
    with pytest.raises(LoRAError, match="ordinary FLUX LoRA"):
        parse(ordinary)


def test_no_layer_has_no_width() -> None:
    with pytest.raises(LoRAError, match="no layer"):
        MaskLoRA({}).width  # noqa: B018
