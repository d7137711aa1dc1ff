"""Reads a LoRA file's metadata: its scale, and whether it is a style LoRA rather than the mask stream's."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...support.texts import TextError, read_text
from ..stream.lora_scale import LoRAError, Scaling

logger = logging.getLogger(__name__)

LARGEST = 1 << 20
"""The largest configuration in bytes; the official one, which names 343 modules, has 12 thousand."""

YES, NO = ("true", "1", "1.0", "yes", "on"), ("false", "0", "0.0", "no", "off", "none", "null", "")
"""The ways in which flags are written, in lower case. Some trainers store every value as text."""

ADAPTER_FILE, ADAPTER_CONFIG = "adapter_model", "adapter_config.json"
"""PEFT stores a LoRA's configuration beside its tensors."""


def scaling_of(metadata: Mapping[str, str], path: Path | None = None) -> Scaling:
    """The scale of pairs without alpha tensors.

    From diffusers' `lora_adapter_metadata`, PEFT's adapter_config.json beside `path`, or kohya's `ss_network_alpha`.

    Raises:
        LoRAError: the configuration cannot be read or is not a LoRA's.
    """
    config = _config(metadata, path)
    kind = config.get("peft_type")
    if kind is not None and str(kind).upper() not in ("LORA", "PEFTTYPE.LORA"):
        raise LoRAError(
            f"This is {str(kind)[:40]}, not LoRA (peft_type in its metadata): the mask stream takes plain LoRAs only."
        )
    if _flag(config, "use_dora"):
        raise LoRAError("This is a DoRA (use_dora in its metadata): the mask stream takes plain LoRAs only.")
    alpha = _number("lora_alpha", config.get("lora_alpha"))
    if alpha is None:
        alpha = _number("ss_network_alpha", metadata.get("ss_network_alpha")) or None
    return Scaling(
        alpha, _pattern(config, "alpha_pattern"), _pattern(config, "rank_pattern"), _flag(config, "use_rslora")
    )


def style_of(metadata: Mapping[str, str]) -> str | None:
    """What an ordinary FLUX LoRA's metadata says it is; None for mask LoRAs and for files that say nothing."""
    if any(key.startswith("mogle.") for key in metadata):
        return None
    notes = (
        ("title", metadata.get("modelspec.title") or metadata.get("ss_output_name") or metadata.get("name")),
        ("kind", metadata.get("modelspec.architecture") or metadata.get("ss_network_module")),
        ("trained on", metadata.get("ss_base_model_version") or metadata.get("ss_sd_model_name")),
        ("trigger", metadata.get("modelspec.trigger_phrase") or metadata.get("trigger_word")),
        ("made with", metadata.get("software")),
    )
    said = [f"{label} {text[:60]}" for label, text in notes if text and text != "None"]
    return ", ".join(said) or None


def _config(metadata: Mapping[str, str], path: Path | None) -> Mapping[str, Any]:
    text = metadata.get("lora_adapter_metadata")
    if text is None and path is not None and path.stem.lower() == ADAPTER_FILE:
        beside = path.with_name(ADAPTER_CONFIG)
        if beside.is_file():
            text = _read(beside)
    if text is None:
        return {}
    if len(text) > LARGEST:
        raise LoRAError(f"Its metadata holds a configuration of {len(text):,} characters, which is not read.")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        logger.warning("The LoRA's metadata cannot be read (%s): alpha = rank is assumed.", error)
        return {}
    except (RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LoRAError(f"Its metadata's configuration cannot be read: {reason}. Save the LoRA again.") from error
    if not isinstance(config, dict):
        logger.warning("The LoRA's metadata is not a configuration: alpha = rank is assumed.")
        return {}
    return {str(name).removeprefix("transformer."): value for name, value in config.items()}


def _read(beside: Path) -> str:
    if (size := beside.stat().st_size) > LARGEST:
        raise LoRAError(
            f"{beside.name} has {size:,} bytes and is not read: that is too large, so the LoRA's scale is not known."
        )
    try:
        return read_text(beside)
    except TextError as error:
        raise LoRAError(f"The LoRA's scale is not known. {error}") from error


def _number(name: str, value: Any) -> float | None:
    """A finite number, also from text. Anything else gives None, with a warning unless it says "None"."""
    if value is None or (isinstance(value, str) and value.strip() in ("", "None", "none", "null")):
        return None
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        logger.warning("The LoRA's %s is %.60r, not a number: alpha = rank is assumed.", name, value)
        return None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise LoRAError(f"Its metadata gives a {name} that is not a finite number: the LoRA's scale is not known.")
    return number


def _flag(config: Mapping[str, Any], name: str) -> bool:
    value = config.get(name)
    word = str(value).strip().lower()
    if word not in YES and word not in NO:
        raise LoRAError(f"Its metadata's {name} is {word[:40]!r}, not true or false: the LoRA's scale is not known.")
    return word in YES


def _pattern(config: Mapping[str, Any], name: str) -> dict[str, float]:
    pattern = config.get(name) or {}
    if not isinstance(pattern, dict):
        raise LoRAError(f"Its metadata's {name} is not a table of modules: the LoRA's scale is not known.")
    numbers = {module: _number(name, value) for module, value in pattern.items()}
    if any(number is None for number in numbers.values()):
        raise LoRAError(f"Its metadata's {name} holds something other than numbers: the LoRA's scale is not known.")
    return {module: number for module, number in numbers.items() if number is not None}
