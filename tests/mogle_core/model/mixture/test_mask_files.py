"""Encoded masks come back from their file to the bit, and every other file is refused with a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mogle_core.masks.decouple import MaskError
from mogle_core.model.mixture.mask_files import ENDING, FORMAT, VERSION, read_masks, tensors_of
from mogle_core.model.mixture.mask_latents import MaskLatents
from mogle_core.support.errors import WeightsError

LATENTS = torch.randn(2, 20, 16, 4, 6, generator=torch.Generator().manual_seed(1))
IDS = torch.randint(0, 19, (2, 32, 48), generator=torch.Generator().manual_seed(2)).to(torch.uint8)


def written(folder: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path = folder / f"one{ENDING}"
    save_file(tensors, path, {FORMAT: VERSION} if metadata is None else metadata)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ids", [IDS, IDS.long(), None])
def test_they_come_back_to_the_bit(dtype: torch.dtype, ids: Tensor | None, tmp_path: Path) -> None:
    masks = MaskLatents(LATENTS.to(dtype).transpose(3, 4).transpose(3, 4), ids)
    back = read_masks(written(tmp_path, tensors_of(masks)))
    assert back.latents.dtype == dtype and torch.equal(back.latents, masks.latents)
    assert (back.ids is None) if ids is None else torch.equal(back.ids, IDS)


DAMAGES: dict[str, dict[str, Any]] = {
    "no latents": {"ids": IDS},
    r"latents of shape \(2, 19": {"latents": LATENTS[:, :19].contiguous()},
    r"latents of shape \(2, 20, 16, 4\)": {"latents": LATENTS[..., 0].contiguous()},
    "not finite": {"latents": LATENTS / 0},
    "not finite numbers": {"latents": LATENTS.to(torch.int16)},
    r"\(2, 32, 32\), which does not fit": {"latents": LATENTS, "ids": IDS[..., :32].contiguous()},
    "name a class 19": {"latents": LATENTS, "ids": torch.full_like(IDS, 19)},
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_file_is_refused(reason: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"one{ENDING} is damaged: .*{reason}.*Encode the masks again"):
        read_masks(written(tmp_path, DAMAGES[reason]))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    latent = {"latent_tensor": LATENTS[:, 0].contiguous(), "latent_format_version_0": torch.tensor([])}
    with pytest.raises(WeightsError, match="no encoded masks .its tensors are latent_format_version_0, latent_tensor"):
        read_masks(written(tmp_path, latent, {}))
    with pytest.raises(WeightsError, match="version 2 of the format, and this extension reads 1: update"):
        read_masks(written(tmp_path, {"latents": LATENTS}, {FORMAT: "2"}))
    path = written(tmp_path, {"latents": LATENTS})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="truncated"):
        read_masks(path)


def test_what_the_file_has_no_place_for_is_not_dropped() -> None:
    @dataclass(frozen=True)
    class More(MaskLatents):
        poses: tuple[Tensor, ...] = ()

    assert set(tensors_of(More(LATENTS))) == {"latents"}
    with pytest.raises(MaskError, match="these also carry poses: connect it to MoGLE Encode"):
        tensors_of(More(LATENTS, poses=(LATENTS,)))
    with pytest.raises(MaskError, match="these also carry sketch: connect it to MoGLE Encode"):
        tensors_of(MaskLatents(LATENTS).with_condition("sketch", LATENTS[:, 0]))
