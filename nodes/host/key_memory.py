"""Kept keys under ComfyUI's memory management, which sees their size and may take them back at any time.

ComfyUI frees memory by unloading models. So the keys of a run are shown to it as a model without weights: unloading
it drops them, and the next step that needs them makes them again, as a refreshed step does.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import comfy.model_management
import comfy.model_patcher
import torch

from ...mogle_core.model.stream.kept_keys import Kept
from ...mogle_core.model.stream.key_forms import device_bytes
from ...mogle_core.model.stream.static_keys import StaticKeys


class Store(Protocol):
    """What holds sets of keys: a run's `Reuse`, or the `StaticKeys` that outlive runs."""

    def sets(self) -> list[Kept]: ...
    def drop(self) -> None: ...


class KeysModule(torch.nn.Module):
    """What ComfyUI takes for a model: a store's keys on one device."""

    def __init__(self, reuse: Store) -> None:
        super().__init__()
        self.reuse = reuse

    @property
    def bytes(self) -> int:
        return sum(device_bytes(kept) for kept in self.reuse.sets())


class KeysPatcher(comfy.model_patcher.ModelPatcher):
    """Reports the current size of the keys. Unloading drops all of them, and loading does not restore any."""

    model: KeysModule

    def model_size(self) -> int:
        return self.model.bytes

    def loaded_size(self) -> int:
        return self.model.bytes

    def model_dtype(self) -> None:
        return None

    def model_patches_to(self, device: object) -> None:
        pass

    def partially_load(self, *given: Any, **more: Any) -> int:
        return 0

    def partially_unload(self, *given: Any, **more: Any) -> int:
        freed = self.model.bytes
        self.model.reuse.drop()
        return freed

    def detach(self, unpatch_all: bool = True) -> KeysModule:
        self.model.reuse.drop()
        return self.model


S = TypeVar("S", bound=Store)


class LentKeys(Generic[S]):
    """A store's keys on one device, known to ComfyUI from when they are made until it takes them, or the run ends."""

    def __init__(self, reuse: S, device: torch.device) -> None:
        self.reuse = reuse
        self.patcher = KeysPatcher(KeysModule(reuse), load_device=device, offload_device=torch.device("cpu"))

    def show(self) -> None:
        """Put the keys among the models that ComfyUI may unload, without its making room for them now."""
        if self._place() is None:
            loaded = comfy.model_management.LoadedModel(self.patcher)
            loaded.model_load()
            comfy.model_management.current_loaded_models.insert(0, loaded)

    def close(self) -> None:
        """The run is over."""
        self.reuse.drop()
        if (place := self._place()) is not None:
            comfy.model_management.current_loaded_models.pop(place).model_unload()

    def _place(self) -> int | None:
        models = comfy.model_management.current_loaded_models
        return next((place for place, loaded in enumerate(models) if loaded.model is self.patcher), None)


_static: dict[torch.device, LentKeys[StaticKeys]] = {}
"""The keys of static streams, by device. They outlive runs. All models share a store: each key names its model."""


def static_store(device: torch.device) -> LentKeys[StaticKeys]:
    """The device's store of static streams' keys."""
    if device not in _static:
        _static[device] = LentKeys(StaticKeys(), device)
    return _static[device]


def bytes_there(device: torch.device) -> int:
    """The bytes of static streams' keys that are on the device now."""
    return _static[device].patcher.model_size() if device in _static else 0
