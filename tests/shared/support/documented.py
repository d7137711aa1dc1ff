"""The commands that README, CONTRIBUTING and docs show, in their order, and how tests shorten the long ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from support.places import REPOSITORY

PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")))
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:mogle|accelerate|python3?|pip|git|cd|\S+/python) ")
_FENCE = re.compile(r" *```(\w*)")


@dataclass(frozen=True)
class Block:
    """Lines of one block of a page, without comments and continuations."""

    page: str
    lines: tuple[str, ...]


# One training of few steps stands for a long one.
_TRAINING = (
    "--set loop.steps=2 --set loop.batch=2 --set data.resolution=32 --set validation.pairs=1 --set validation.every=0"
)
_SWEEP = "mogle train toy --sweep lora.rank=2,4,8 --sweep optimiser.lr=1e-3,2e-3 --seeds 3 --cluster"

SHORT = {
    "mogle toy faces toy_faces --count 64": "--count 8 --size 32",
    "mogle train toy": _TRAINING,
    "mogle train CONFIG --resume auto": _TRAINING,
    _SWEEP: f"{_TRAINING} --seeds 1",
    "mogle generate toy_faces --toy --out pictures": "--size 32 --steps 1",
    "mogle generate toy_faces --toy --out pictures --cluster": "--size 32 --steps 1",
    "mogle toy build --work DIR --out DIR": "--stages draw --budget 0.001",
    "python -m pytest": '-m "not slow"',
}
"""Options that shorten a line's run. Where an option is given twice, the last one counts."""

PLACEHOLDERS = {"CONFIG": "toy", "DIR": "toy_build"}
"""Words in capitals that a reader replaces, and what the tests put there."""

# Lines that no test machine can run, and why. test_documented_commands.py still checks their options.
_NEEDS_A_COMFYUI = "needs a ComfyUI; .ci/run runs it"
_NEEDS_FLUX = "needs FLUX.1-dev and MM-CelebA-HQ"
_GENERATE = "mogle generate data/mmcelebahq --split test --out pictures"
NOT_RUN = {
    "python tests/host/environment.py ~/ComfyUI /path/of/venv": _NEEDS_A_COMFYUI,
    "COMFYUI_PATH=~/ComfyUI /path/of/venv/bin/python -m pytest tests/host": _NEEDS_A_COMFYUI,
    f"{_GENERATE} --transformer flux1-dev.safetensors ... --cluster": _NEEDS_FLUX,
    f"{_GENERATE} --transformer flux1-dev.safetensors --vae ae.safetensors --clip-l clip_l.safetensors "
    "--t5xxl t5xxl_fp16.safetensors --mogle global_local_mask_moe.pt --lora pytorch_lora_weights.safetensors": (
        _NEEDS_FLUX
    ),
    f"{_GENERATE} --server http://gpu1:8188 --server http://gpu2:8188": _NEEDS_FLUX,
    "mogle evaluate pictures --real data/mmcelebahq/face --masks data/mmcelebahq/mask "
    "--prompts data/mmcelebahq/text.json --inception inception-2015-12-05.pt --clip-large clip-vit-large-patch14-336 "
    "--dino dino-vitb8 --clip clip-vit-base-patch16 --image-reward ImageReward.pt --parser face-parsing": (
        "needs the paper's networks"
    ),
    "mogle annotate PHOTOS --parser A --second B --out annotated --comfyui ~/ComfyUI": "needs two face parsers",
    "mogle prepare paper --set data.root=data/mmcelebahq": _NEEDS_FLUX,
    "mogle train paper --set data.root=data/mmcelebahq": _NEEDS_FLUX,
    "accelerate launch --num_processes 4 -m mogle_core.cli train paper": _NEEDS_FLUX,
    "accelerate launch --config_file machines.yaml -m mogle_core.cli train paper": _NEEDS_FLUX,
    "mogle train paper --sweep ablations --seeds 3 --cluster auto": _NEEDS_FLUX,
    "mogle convert runs/face_mogle/face_mogle.safetensors --to official --out pair": "needs a trained checkpoint",
}


def blocks() -> Iterator[Block]:
    """Every block of commands, of all pages in order."""
    for page in PAGES:
        yield from _blocks(page)


def _blocks(page: str) -> Iterator[Block]:
    text = (REPOSITORY / page).read_text("utf-8").replace("\\\n", " ")
    found: list[str] = []
    inside = shows = False
    for line in [*text.splitlines(), ""]:
        fence = _FENCE.match(line)
        if fence:
            shows = not inside and fence[1] in ("", "bash", "sh", "console")
            inside = not inside
        elif (inside and shows or not inside and line.startswith("    ")) and line.strip():
            bare = " ".join(re.sub(r"\s#.*", "", line).split())
            found += [bare] if _COMMAND.match(f"{bare} ") else []
            continue
        if found and not (inside and shows):
            yield Block(page, tuple(found))
            found = []


def commands() -> list[tuple[str, str]]:
    """(page, command): a line of several joined by && is several commands."""
    return [(block.page, part) for block in blocks() for line in block.lines for part in line.split(" && ")]


def shortened(line: str) -> str | None:
    """The line in the form in which the tests run it, or None if they cannot run a part of it."""
    parts = line.split(" && ")
    if any(part in NOT_RUN for part in parts):
        return None
    return " && ".join(_filled(f"{part} {SHORT.get(part, '')}".strip()) for part in parts)


def _filled(part: str) -> str:
    return " ".join(PLACEHOLDERS.get(word, word) for word in part.split(" "))


def words(command: str) -> list[str]:
    """The arguments, without the three dots that stand for options left out."""
    return [word for word in shlex.split(command) if word not in ("...", "\u2026")]


def examples(page: str) -> list[str]:
    """The Python code that a page shows."""
    return re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text("utf-8"), re.DOTALL)


def needs_flux(code: str) -> bool:
    """Whether an example needs weights that no test machine has."""
    return "flux1-dev" in code
