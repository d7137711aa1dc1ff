"""What other packs do to FLUX.1, by small stand-ins: the mask joins it, or the log says whose effect is lost.

`packs_matrix.py` runs the packs themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from comfy.ldm.flux.layers import DoubleStreamBlock, SingleStreamBlock
from comfy.ldm.flux.math import attention
from comfy.ldm.flux.model import Flux
from support.masked import NEGATIVE, POSITIVE, ids_with_squares, run
from torch import Tensor, nn


class OtherFlux(Flux):
    """As Fluxtapoz and RES4LYF put in the model's place: a forward pass that knows no wrappers."""

    def forward(
        self, x: Any, timestep: Any, context: Any, y: Any = None, guidance: Any = None, control: Any = None,
        transformer_options: Any = None, **ignored: Any,
    ) -> Tensor:  # fmt: skip
        return self._forward(x, timestep, context, y, guidance, None, control, transformer_options or {})


def replace_class(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model.add_object_patch("diffusion_model.__class__", OtherFlux)


def replace_class_for_good(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.model.diffusion_model, "__class__", OtherFlux)


def replace_forward(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = model.model.diffusion_model
    monkeypatch.setattr(transformer, "forward", MethodType(OtherFlux.forward, transformer), raising=False)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "nodes.host" in record.name]


@pytest.mark.parametrize("replace", [replace_class, replace_class_for_good, replace_forward])
def test_what_swallows_the_mask_is_named_once(replace, base, gated, latents, caplog, monkeypatch) -> None:
    plain = run(base, POSITIVE)
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    replace(model, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(run(model, positive), plain)
    (said,) = warnings(caplog)
    assert "No block of this model saw the mask" in said and "OtherFlux" in said and __name__ in said


def test_blocks_that_are_replaced_by_a_function_are_named(base, gated, latents, caplog) -> None:
    def swallow(args: Any, extra: Any) -> Any:
        return args

    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    for kind, count in (("double_block", 2), ("single_block", 3)):
        for i in range(count):
            model.set_model_patch_replace(swallow, "dit", kind, i)
    with caplog.at_level(logging.WARNING):
        run(model, positive)
    (said,) = warnings(caplog)
    assert "swallow" in said


@pytest.mark.parametrize("first", [True, False])
def test_a_cache_that_skips_steps_is_no_warning(first, base, gated, latents, caplog) -> None:
    """Core's EasyCache, before and after Gated Condition."""
    nodes_easycache = pytest.importorskip("comfy_extras.nodes_easycache")

    def cached(model: Any) -> Any:
        settings = {"reuse_threshold": 100.0, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
        return nodes_easycache.EasyCacheNode.execute(model=model, **settings).args[0]

    whole, positive, _, _ = gated(base, POSITIVE, latents(1))
    model, _, _, _ = gated(cached(base) if first else base, POSITIVE, latents(1))
    with caplog.at_level(logging.WARNING):
        result = run(model if first else cached(model), positive, steps=6)
    assert not torch.equal(result, run(whole, positive, steps=6))  # it did skip
    assert warnings(caplog) == []


def moved_by(tokens: Tensor, amount: float) -> Tensor:
    return tokens + amount * tokens.flip(-1)


class Moved(nn.Module):
    """A block with a forward of its own around the parts of FLUX's, as IPAdapter-Flux and x-flux have it."""

    shift = 0.0

    def __init__(self, original: nn.Module) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(original.__dict__)


class MovedDouble(Moved, DoubleStreamBlock):
    def forward(self, img: Tensor, txt: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        img, txt = DoubleStreamBlock.forward(self, img, txt, *args, **kwargs)
        return moved_by(img, self.shift), txt


class MovedSingle(Moved, SingleStreamBlock):
    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return moved_by(SingleStreamBlock.forward(self, x, *args, **kwargs), self.shift)


class Alone(Moved, DoubleStreamBlock):
    """Calls attention without the options, so that nobody can join it."""

    def forward(
        self, img: Tensor, txt: Tensor, vec: Tensor, pe: Tensor, attn_mask: Any = None, **options: Any
    ) -> tuple[Tensor, Tensor]:
        q = torch.zeros(img.shape[0], self.num_heads, img.shape[1] + txt.shape[1], self.hidden_size // self.num_heads)
        seen = attention(q, q, q, pe=pe, mask=attn_mask)
        return img + 1 + seen[:, txt.shape[1] :], txt


def with_blocks(model: Any, shift: float = 0.0) -> None:
    for kind, block, count in (("double", MovedDouble, 2), ("single", MovedSingle, 3)):
        for i in range(count):
            name = f"diffusion_model.{kind}_blocks.{i}"
            moved = block(model.get_model_object(name))
            moved.shift = shift
            model.add_object_patch(name, moved)


def with_callbacks(model: Any, shift: float) -> None:
    def moved(args: Any, extra: Any) -> Any:
        out = extra["original_block"](args)
        return {**out, "img": moved_by(out["img"], shift)}

    for kind, count in (("double_block", 2), ("single_block", 3)):
        for i in range(count):
            model.set_model_patch_replace(moved, "dit", kind, i)


@pytest.mark.parametrize(
    "inputs", [{}, {"strength": 0.6}, {"refresh_every": 2}, {"mask_tokens": "half"}, {"mask_tokens": "merged"}]
)
def test_another_packs_blocks_keep_their_effect_beside_the_mask(inputs, base, gated, scene, caplog) -> None:
    """Their forward runs: the same as if the effect were chained around our blocks."""
    masks = scene.encoded(torch.cat((ids_with_squares(1, (0, 0), (1, 1)), ids_with_squares(2, (0, 1)))))
    expected, positive, _, _ = gated(base, POSITIVE, masks, **inputs)
    with_callbacks(expected, 0.05)
    expected = run(expected, positive, NEGATIVE, batch=2, cfg=2.0, steps=4)
    model, positive, _, _ = gated(base, POSITIVE, masks, **inputs)
    untouched = run(model, positive, NEGATIVE, batch=2, cfg=2.0, steps=4)
    with_blocks(model, 0.05)
    with caplog.at_level(logging.WARNING):
        moved = run(model, positive, NEGATIVE, batch=2, cfg=2.0, steps=4)
    assert torch.allclose(moved, expected, atol=2e-4)
    assert not torch.allclose(moved, untouched, atol=1e-2)
    assert warnings(caplog) == []


def test_another_packs_blocks_chain_with_callbacks(base, gated, latents) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    with_callbacks(model, 0.05)
    expected = run(model, positive)
    with_blocks(model)
    assert torch.allclose(run(model, positive), expected, atol=1e-4)


def test_blocks_whose_attention_nobody_can_join_are_named(base, gated, latents, caplog) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    expected = run(model, positive)
    name = "diffusion_model.double_blocks.1"
    model.add_object_patch(name, Alone(model.get_model_object(name)))
    with caplog.at_level(logging.WARNING):
        assert torch.equal(run(model, positive), expected)
    (said,) = warnings(caplog)
    assert "Alone" in said and __name__ in said


@pytest.fixture
def ignoring() -> Callable[..., Tensor]:
    """As KJNodes puts SageAttention 1 in attention's place: masks are dropped, unless exact attention is asked for."""

    def attend(function: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, **more: Any) -> Tensor:
        if more.get("low_precision_attention", True) is not False:
            more["mask"] = None
        return function(q, k, v, heads, **more)

    return attend


@pytest.mark.parametrize("prompted", [False, True])
def test_attention_that_ignores_masks_is_asked_to_be_exact(prompted, base, gated, latents, comfy, ignoring) -> None:
    masks = latents(1)
    inputs: dict[str, Any] = {"strength": 0.3}
    if prompted:
        (prompts,) = comfy.node("MoGLERegionPrompt")(region="hair", conditioning=NEGATIVE, strength=2.0)
        inputs = {"region_prompts": prompts}
    model, positive, _, _ = gated(base, POSITIVE, masks, **inputs)
    expected = run(model, positive)
    default, plain, _, _ = gated(base, POSITIVE, masks)
    assert not torch.allclose(run(default, plain), expected, atol=1e-4)
    model.model_options["transformer_options"]["optimized_attention_override"] = ignoring
    assert torch.allclose(run(model, positive), expected, atol=1e-5)
    with_blocks(model)
    assert torch.allclose(run(model, positive), expected, atol=1e-4)


@pytest.mark.parametrize("part", ["diffusion_model", "diffusion_model.double_blocks.0"])
def test_a_compiled_model_takes_the_lora(part, base, gated, latents) -> None:
    """Before it ran, and after its patches were left in place by another graph."""
    expected, positive, _, _ = gated(base, POSITIVE, latents(1))
    expected = run(expected, positive)
    compiled = base.clone()
    whole = torch.compile(compiled.get_model_object(part), backend="eager")
    compiled.add_object_patch(part, whole)
    model, positive, _, _ = gated(compiled, POSITIVE, latents(1))
    assert torch.allclose(run(model, positive), expected, atol=1e-5)
    gated(base, POSITIVE, latents(1))  # with the wrapper still in the model
    again, positive, _, _ = gated(compiled, POSITIVE, latents(1))
    assert torch.allclose(run(again, positive), expected, atol=1e-5)
