"""The averaging of the LoRA at the end of the build's sketch stage, and the embedded file."""

import torch
from safetensors.torch import load_file

from mogle_core.toy.build.sketch import between
from mogle_core.toy.places import FILES, SKETCH_FILE, WEIGHTS


def test_between_goes_the_share_from_start_to_end() -> None:
    start, end = {"a": torch.tensor([0.0, 2.0])}, {"a": torch.tensor([1.0, 4.0])}
    assert torch.allclose(between(start, end, 0.25)["a"], torch.tensor([0.25, 2.5]))


def test_the_embedded_file_has_the_mixture_of_the_world_without_sketches() -> None:
    plain, sketching = (load_file(WEIGHTS / name) for name in (FILES["mogle"], SKETCH_FILE))
    mixture = [name for name in plain if ".experts." in name or ".gating." in name]
    assert mixture and all(torch.equal(sketching[name], plain[name]) for name in mixture)
    assert all(".extra_" in name for name in sketching.keys() - plain.keys())
