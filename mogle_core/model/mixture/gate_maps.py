"""Reads the gate's weights from a run's record: each expert's weight at each token, and the winner at each token.

The weights are those of the paper's equation for the gate (section 3.3): a softmax over the experts, for each token
and step, before Region Control's factors. A further condition, such as a sketch, has a weight of its own from 0 to 1
beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...masks.labels import CLASSES, NUM_MASKS, PALETTE
from ..conditions import KINDS
from .gate_record import GateRecord, GateStep
from .regions import FULL_MASK, REGION_NAMES

STRONGEST, ALL = "strongest", "all"
SHOWN = 6
"""How many experts `strongest` picks."""

OTHER_RUN = (
    "Gate Maps: none of the runs on record made these samples. Connect samples to the output of the sampler that gets "
    "Gated Condition's model and positive, before any other node changes the latent. If the sampler did not run this "
    "time, change its seed: of older runs only those within 64 MiB are kept."
)

TITLES: tuple[str, ...] = (FULL_MASK, *(c.title for c in CLASSES))
"""Titles of the 20 masks."""

COLOURS: tuple[tuple[int, int, int], ...] = ((255, 255, 255), *PALETTE)
"""Colours of the 20 masks: each class's palette colour, and white, which no class has, for the full mask."""


@dataclass(frozen=True)
class GateFrames:
    """The gate of one picture over its sampling.

    sigmas: (S,), falling. weights: (S, rows, columns, E + K) float32; they sum to one over E.
    masks: (E,), the number of each expert's mask among the 20. extra: the further conditions, whose K weights stand
        behind the masks' E.
    """

    sigmas: Tensor
    weights: Tensor
    masks: tuple[int, ...]
    extra: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sigmas)

    @property
    def experts(self) -> range:
        """All experts, as indices into the weights: the masks', then the further conditions'."""
        return range(len(self.masks) + len(self.extra))

    def title(self, expert: int) -> str:
        """The title of an expert's mask or condition."""
        if expert < len(self.masks):
            return TITLES[self.masks[expert]]
        name = self.extra[expert - len(self.masks)]
        return KINDS[name].title if name in KINDS else name


def read_gates(record: GateRecord, picture: int = 0, samples: Tensor | None = None) -> GateFrames:
    """The frames of one picture of the batch, of the first positive conditioning that has a mask.

    samples: the latent (B, C, H, W) that the run made; None takes the last run.

    Raises:
        ValueError: there is no record, no run made these samples, or the batch has fewer pictures.
    """
    run = record.last if samples is None else record.run_of(samples)
    if run is None:
        raise ValueError(_nothing(record) if not record.last.steps and not record.earlier else OTHER_RUN)
    frames: dict[float, Tensor] = {}
    for step in run.steps:
        if (found := _frame(step, picture)) is not None:
            sigma, weights = found
            # Areas and combined prompts cause further passes at the same noise; the first pass counts.
            first = next(iter(frames.values()), weights)
            if sigma not in frames and weights.shape == first.shape:
                frames[sigma] = weights
    if not frames:
        raise ValueError(_nothing(record))
    masks = tuple(range(NUM_MASKS)[record.masks])
    return GateFrames(torch.tensor([*frames]), torch.stack([*frames.values()]), masks, record.extra)


def _frame(step: GateStep, picture: int) -> tuple[float, Tensor] | None:
    """A step's sigma and the picture's weights (rows, columns, E); None if only the negative ran."""
    chunks = step.conditionings or (0,)
    if 0 not in chunks:
        return None
    batch = len(step.weights) // len(chunks)
    if not 0 <= picture < batch:
        raise ValueError(f"Gate Maps: batch_index is {picture}, and the run made {batch}: choose 0 to {batch - 1}.")
    row = chunks.index(0) * batch + picture
    # A scalar gate has one weight for all tokens.
    rows, columns = step.grid
    weights = step.weights[row].float().cpu().expand(rows * columns, -1)
    return float(step.sigma[row]), weights.reshape(rows, columns, -1)


def _nothing(record: GateRecord) -> str:
    if record.dropped:
        return (
            f"A single step of this gate takes more than the {record.budget // 2**20} MiB that its record may take: "
            "make a smaller picture or a smaller batch."
        )
    return (
        "The gate recorded nothing. Connect samples to the sampler that gets Gated Condition's model and positive, "
        "with a strength above 0, and change its seed if it did not run this time. A checkpoint that was trained "
        "without a gate has none to show."
    )


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` of `count` steps, evenly, with the first and the last; one alone is the middle one."""
    if wanted >= count:
        return list(range(count))
    if wanted <= 1:
        return [count // 2]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]


def chosen(frames: GateFrames, text: str) -> tuple[int, ...]:
    """The experts that a text asks for, as indices into `frames.experts`.

    text: `strongest` (the six masks with the largest mean weight, and all further conditions), `all`, or names with
        commas: CelebAMask-HQ's (`eye_g`), plain ones (`glasses`) or a condition's (`sketch`).

    Raises:
        ValueError: a name is not a region's, or its mask has no expert.
    """
    if text.strip().lower() in ("", STRONGEST):
        count = len(frames.masks)
        means = frames.weights.mean((0, 1, 2))[:count]
        return (*sorted(means.topk(min(SHOWN, count)).indices.tolist()), *frames.experts[count:])
    if text.strip().lower() == ALL:
        return tuple(frames.experts)
    names = [name.strip().lower() for name in text.split(",")]
    return tuple(dict.fromkeys(_place(frames, name) for name in names if name))


def _place(frames: GateFrames, name: str) -> int:
    if name in frames.extra:
        return len(frames.masks) + frames.extra.index(name)
    if name in KINDS:
        raise ValueError(f"Gate Maps: this checkpoint was trained without an expert for {KINDS[name].title}.")
    names = REGION_NAMES if name in REGION_NAMES else TITLES
    if name not in names:
        raise ValueError(
            f"Gate Maps: there is no region {name!r}. Write {STRONGEST}, {ALL}, or names with commas: "
            f"{', '.join((*REGION_NAMES, *frames.extra))}."
        )
    mask = names.index(name)
    if mask not in frames.masks:
        raise ValueError(f"Gate Maps: this checkpoint was trained without an expert for {TITLES[mask]}.")
    return frames.masks.index(mask)


def winners(frames: GateFrames, experts: Sequence[int]) -> Tensor:
    """Which of these experts has the largest weight: mask numbers 0 to 19, (S, rows, columns).

    With every expert (`range(len(frames.masks))`) this is the gate's own choice at each token. Further conditions do
    not compete, because their weights are no shares of the same sum.
    """
    experts = [expert for expert in experts if expert < len(frames.masks)] or range(len(frames.masks))
    best = frames.weights[..., list(experts)].argmax(-1)
    return torch.tensor([frames.masks[expert] for expert in experts])[best]
