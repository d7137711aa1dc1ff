"""A static checkpoint's mask stream in ComfyUI: its keys, kept across steps, prompts, seeds and runs.

Such a stream depends on the mask alone, so one set of keys is exact wherever everything that it depends on is the same.
All of that is hashed once a run.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Hashable
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...mogle_core.model.mixture.regions import strengths
from ...mogle_core.model.stream.condition import MaskCondition
from ...mogle_core.model.stream.kept_keys import Kept
from ...mogle_core.model.stream.key_forms import KeyForm
from ...mogle_core.model.stream.static_keys import StaticKeys, compute_keys, digest
from ...mogle_core.support.identity import identity
from .blocks import attention
from .foreign_blocks import OVERRIDE
from .kept_keys import itemsize, key_bytes, mask_count
from .key_memory import static_store
from .runs import NETWORK, MaskSettings, Run, Source, Step
from .versions import compute_dtype, image_positions, outliving

logger = logging.getLogger(__name__)

HOST = torch.device("cpu")


def static_keys(
    settings: MaskSettings, run: Run, step: Step, mask: MaskCondition, tokens: Callable[[], Tensor]
) -> Kept | None:
    """The keys of this step's masks, computed unless an earlier run did; None if each step must compute them itself.

    mask: everything but its tokens. tokens: computes them.
    """
    if not step.named or not _undisturbed(run, step):
        return None
    values = strengths(settings.regions, tuple(step.within(r.start_percent, r.end_percent) for r in settings.regions))
    factors = None if values is None else tuple(values.tolist())
    source = run.sources.get((step.batch, factors), lambda: _source(settings, run, step, mask, factors))
    lent = static_store(step.x.device)
    # A run may sample several masks, as with areas. If each made room for the next, all would be computed again at
    # each step.
    needed = {other.key for (_, at), other in run.sources.items() if at == factors}
    form: KeyForm | None = settings.keys
    if source.key not in lent.reuse:
        total = key_bytes(step.model, source.pictures, mask_count(settings, step.grid, mask.merged))
        form = _form(settings.keys, step, total, lent.reuse, needed)
    if form is None:
        run.warn(
            "Neither the GPU nor the host's memory has room for the mask's keys, so each step computes the mask. "
            "Gated Condition's key_storage fp8, or a smaller image or batch, needs less."
        )
        return None

    def computed() -> Kept:
        run.made += 1
        return _computed(step, mask, tokens()[: source.pictures], form)

    with outliving():
        kept = lent.reuse.get(source.key, computed, needed)
    lent.show()
    return kept


def _undisturbed(run: Run, step: Step) -> bool:
    """Whether FLUX's own attention runs in all blocks, at every step alike."""
    patches = step.options.get("patches", {})
    who = [
        name
        for name, there in (
            ("an attn1_patch", patches.get("attn1_patch")),
            ("an attn1_output_patch", patches.get("attn1_output_patch")),
            ("a function in the place of attention", step.options.get(OVERRIDE)),
            ("replaced blocks", step.options.get("patches_replace", {}).get("dit") or run.foreign),
            ("hooks that change the weights", getattr(step.model.current_patcher, "current_hooks", None) is not None),
        )
        if there
    ]
    if who:
        run.warn(
            f"Another extension reaches into the model ({', '.join(who)}), so each step computes the mask, although "
            "this checkpoint's keys would hold for all steps."
        )
    return not who


def _source(
    settings: MaskSettings, run: Run, step: Step, mask: MaskCondition, factors: tuple[float, ...] | None
) -> Source:
    """All that the keys depend on, and how many different masks the batch has: one, or as many as pictures."""
    merged = mask.merged
    alike = (merged is None or merged.alike) and bool((step.latents == step.latents[:1]).all())
    pictures = 1 if alike else len(step.latents)
    positions = image_positions(step.model.diffusion_model, step.x[:1], step.options)
    network = step.additional_model(NETWORK)
    lora = [part for name in sorted(mask.lora) for part in mask.lora[name]]
    pooled = [] if settings.pooled is None else [settings.pooled]
    weights = run.weights.get(step.x.device, lambda: digest([*network.state_dict().values(), *lora]))
    squares = [] if merged is None else [merged.members, merged.bias]
    numbers = digest([step.latents[:pictures], positions, *pooled, *squares])
    return Source(
        (
            numbers,
            weights,
            factors,
            str(network.config),
            tuple(sorted(mask.lora)),
            (step.grid, mask.grid, settings.separate_calls, settings.keys),
            (compute_dtype(step.model), step.x.dtype, str(step.x.device)),
            *_base(step.model),
        ),
        pictures,
    )


def _base(model: Any) -> tuple[Hashable, ...]:
    """The base model with everything that other nodes have put on it."""
    patcher = model.current_patcher
    objects = getattr(patcher, "object_patches", {})
    injections = getattr(patcher, "injections", {})
    return (
        identity(model),
        getattr(patcher, "patches_uuid", None),
        tuple((name, _number(objects[name])) for name in sorted(objects)),
        tuple((name, tuple(_number(one) for one in injections[name])) for name in sorted(injections)),
        tuple(sorted(str(hook) for hook in getattr(patcher, "hook_patches", {}))),
    )


def _number(part: Any) -> Hashable:
    """Identifies what another node put on the model. Something without an identity gets a key that never recurs."""
    if part is None or isinstance(part, bool | int | float | str):
        return part
    try:
        return identity(part)
    except TypeError:
        return object()


def _form(form: KeyForm, step: Step, total: int, store: StaticKeys, needed: Collection[Hashable]) -> KeyForm | None:
    """Where new keys fit: on the device, if need be in the place of older masks' keys, or in host memory.

    total: their bytes before they are stored. needed: the keys of the store that this step's masks use.
    """
    stored = form.stored_bytes(total, itemsize(step.model))
    hosted = dataclasses.replace(form, host=True)
    for tried in (hosted,) if form.host else (form, hosted):
        place = HOST if tried.host else step.x.device
        while not (fits := stored <= comfy.model_management.get_free_memory(place)) and store.evict_oldest(needed):
            pass
        if fits:
            where = "host memory" if tried.host else str(place)
            logger.info("%.0f MB of the mask's keys and values are kept in %s for further runs.", stored / 2**20, where)
            return tried
    return None


def _computed(step: Step, mask: MaskCondition, tokens: Tensor, form: KeyForm) -> Kept:
    """The keys of mask tokens (B, M, 64), by a pass of the mask stream alone."""
    transformer, kept = step.model.diffusion_model, form.new()
    positions = image_positions(transformer, step.x[:1], step.options)
    whole = dataclasses.replace(mask, tokens=tokens).to(compute_dtype(step.model))
    compute_keys(
        transformer,
        whole,
        positions,
        step.grid,
        transformer.pe_embedder,
        lambda block: attention(block, step.options),
        kept,
    )
    return kept
