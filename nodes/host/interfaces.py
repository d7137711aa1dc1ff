"""The host's interfaces that the mask stream counts on: which there are, and what a newer host has that we do not know.

Found by looking at signatures and names; nothing is built and nothing is changed. `tests/host/interfaces.py` prints
it for any ComfyUI.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import comfy.conds
import comfy.ldm.flux.layers as layers
import comfy.ldm.flux.math
import comfy.model_base
import comfy.model_patcher
import comfy.patcher_extension
import comfy.sampler_helpers
import comfy.samplers
from comfy.ldm.flux.model import Flux

from ...mogle_core import __version__
from .functions import innermost
from .versions import PAUSES_MALLOC_GRAPH, PREFETCH

logger = logging.getLogger(__name__)

BLOCK = "vec pe attn_mask transformer_options"
FORWARD = "x timestep context y guidance ref_latents control transformer_options"


@dataclass(frozen=True)
class Interface:
    """A function or class of the host, the names it must have, and those that some version from 0.3.64 to 0.36 adds.

    needed: a function's parameters, in order because some are found by position.
    there: False if this version of the host may lack it.
    """

    name: str
    find: Callable[[], Any]
    needed: str
    known: str = ""
    there: bool = True

    def names(self) -> list[str]:
        """The parameters of a function, or the public names of a class. Raises AttributeError where there is none."""
        what = self.find()
        if isinstance(what, type):
            return sorted(name for name in vars(what) if not name.startswith("_"))
        parameters = inspect.signature(innermost(what)).parameters
        return [name for name in parameters if name not in ("self", "args", "kwargs")]

    def findings(self) -> Iterator[tuple[str, str]]:
        """(`missing`, `unknown` or `moved`, name) of what differs from what we know."""
        if not self.there:
            return
        try:
            names, ordered = self.names(), not isinstance(self.find(), type)
        except (AttributeError, TypeError, ValueError):
            yield "missing", self.name
            return
        needed, known = self.needed.split(), self.known.split()
        yield from (("missing", name) for name in needed if name not in names)
        yield from (("unknown", name) for name in names if name not in (*needed, *known))
        here = [name for name in names if name in needed]
        there = [name for name in needed if name in here]
        if ordered and here != there:
            yield "moved", next(one for one, other in zip(here, there, strict=True) if one != other)


INTERFACES = (
    Interface("Flux.forward", lambda: Flux.forward, FORWARD),
    Interface("Flux._forward", lambda: Flux._forward, FORWARD),
    Interface(
        "Flux.forward_orig",
        lambda: Flux.forward_orig,
        "img img_ids txt txt_ids timesteps y guidance control transformer_options attn_mask",
        "timestep_zero_index",
    ),
    Interface("Flux.process_img", lambda: Flux.process_img, "x", "index h_offset w_offset transformer_options"),
    Interface(
        "DoubleStreamBlock.forward",
        lambda: layers.DoubleStreamBlock.forward,
        f"img txt {BLOCK}",
        "modulation_dims_img modulation_dims_txt",
    ),
    Interface("SingleStreamBlock.forward", lambda: layers.SingleStreamBlock.forward, f"x {BLOCK}", "modulation_dims"),
    Interface(
        "comfy.ldm.flux.math.attention",
        lambda: comfy.ldm.flux.math.attention,
        "q k v pe mask transformer_options",
        "preferred_attention",
    ),
    Interface("timestep_embedding", lambda: layers.timestep_embedding, "t dim", "max_period time_factor"),
    Interface(
        "BaseModel._apply_model",
        lambda: comfy.model_base.BaseModel._apply_model,
        "x t c_concat c_crossattn control transformer_options",
    ),
    Interface(
        "CFGGuider.outer_sample",
        lambda: comfy.samplers.CFGGuider.outer_sample,
        "noise latent_image sampler sigmas denoise_mask callback",
        "disable_pbar seed latent_shapes",
    ),
    Interface(
        "prepare_sampling",
        lambda: comfy.sampler_helpers.prepare_sampling,
        "model noise_shape conds model_options",
        "force_full_load force_offload",
    ),
    Interface("CONDNoiseShape.process_cond", lambda: comfy.conds.CONDNoiseShape.process_cond, "batch_size area"),
    Interface("pause_malloc_graph", lambda: PREFETCH.pause_malloc_graph, "", "sync", there=PAUSES_MALLOC_GRAPH),
    Interface(
        "WrappersMP",
        lambda: comfy.patcher_extension.WrappersMP,
        "OUTER_SAMPLE PREPARE_SAMPLING APPLY_MODEL DIFFUSION_MODEL",
        "SAMPLER_SAMPLE PREDICT_NOISE CALC_COND_BATCH init_wrappers",
    ),
)


def findings() -> list[tuple[str, str, str]]:
    """(interface, `missing`, `unknown` or `moved`, name) of every difference between this host and the known ones."""
    return [(interface.name, kind, name) for interface in INTERFACES for kind, name in interface.findings()]


def warn_of_unknown_interfaces(host_version: str = "") -> None:
    """One warning if this host has what we do not know. Never an error: other graphs must run on."""
    try:
        found = findings()
    except Exception as error:  # a host that even looking at fails is one that we do not know
        found = [(type(error).__name__, "unknown", str(error))]
    if found:
        what = "; ".join(f"{interface}: {kind} {name}" for interface, kind, name in found)
        logger.warning(
            "ComfyUI-MoGLE %s does not know some interfaces of this ComfyUI%s (%s). Its nodes may not work as they "
            "should: look for a newer version of the extension, and report this line if there is none.",
            __version__,
            host_version and f" {host_version}",
            what,
        )
