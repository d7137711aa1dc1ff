"""All that knows ComfyUI's insides: its models, its conditioning, its sampling, its versions, its files.

Weights are on the MODEL: network and LoRA are small modules in patchers of their own, so that ComfyUI
loads, offloads and counts them. Masks are on the CONDITIONING, so that batches, areas, time ranges and a
negative without a mask work as everywhere. They meet during sampling, in four wrappers:

OUTER_SAMPLE      one run begins: what is computed once a run has a place, and dies with the run.
PREPARE_SAMPLING  the mask's tokens are reported, which ComfyUI's memory estimate does not see.
APPLY_MODEL       one step, outside of any compiled region: is the mask active now, what does the gate say.
DIFFUSION_MODEL   one forward pass: the blocks are replaced, in a copy of its options only.
"""

from .attach import attach, attach_lora, detach
from .conditioning import Conditioning, empty_conditioning, with_mask, without_mask
from .files import (
    MOGLE_FOLDER,
    VAE,
    Latent,
    LoadedMoGLE,
    batch_places,
    empty_latent,
    file_complaint,
    file_state,
    identity,
    load_mogle,
    mask_encoder,
    pixel_size,
    register_models_folders,
)
from .gate_output import asks_for_gates, mark_prompts
from .interfaces import warn_of_unknown_interfaces
from .mask_files import (
    MASKS_ENDING,
    MASKS_PREFIX,
    load_masks,
    masks_choices,
    masks_complaint,
    masks_state,
    save_masks,
)
from .painter_output import MAP_OUTPUTS, SKETCH_OUTPUT, is_used, mark_empty_painters, show
from .parsers import detected_landmarks, parse, parser_choices, parser_complaint, parser_state
from .region_texts import text_of, with_region_prompts
from .routes import add_routes
from .runs import MaskSettings
from .versions import ModelPatcher, newer_fields, newer_input_fields

__all__ = [
    "MAP_OUTPUTS",
    "MASKS_ENDING",
    "MASKS_PREFIX",
    "MOGLE_FOLDER",
    "SKETCH_OUTPUT",
    "VAE",
    "Conditioning",
    "Latent",
    "LoadedMoGLE",
    "MaskSettings",
    "ModelPatcher",
    "add_routes",
    "asks_for_gates",
    "attach",
    "attach_lora",
    "batch_places",
    "detach",
    "detected_landmarks",
    "empty_conditioning",
    "empty_latent",
    "file_complaint",
    "file_state",
    "identity",
    "is_used",
    "load_masks",
    "load_mogle",
    "mark_empty_painters",
    "mark_prompts",
    "mask_encoder",
    "masks_choices",
    "masks_complaint",
    "masks_state",
    "newer_fields",
    "newer_input_fields",
    "parse",
    "parser_choices",
    "parser_complaint",
    "parser_state",
    "pixel_size",
    "register_models_folders",
    "save_masks",
    "show",
    "text_of",
    "warn_of_unknown_interfaces",
    "with_mask",
    "with_region_prompts",
    "without_mask",
]
