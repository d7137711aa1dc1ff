"""Starts a ComfyUI inside this process, without its server, and runs its nodes as its executor does."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import inspect
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from support.hosts import REPOSITORY, Host
from support.places import TESTS

TEST_PACK = TESTS / "host/packs/moglet_test"


class LoadLog(logging.Handler):
    """Records what ComfyUI logs while it loads a pack, because it reports failures nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass(frozen=True)
class Comfy:
    """The running ComfyUI, as the tests use it.

    `base` is its base directory (models, input, output, temp); it exists as long as the process.
    `failure` is empty, or what ComfyUI logged when it could not load the pack under test.
    """

    host: Host
    base: Path
    failure: str

    @property
    def version(self) -> tuple[int, ...]:
        return self.host.version

    @cached_property
    def pack(self) -> ModuleType:
        """The package under test as ComfyUI imported it, with `pack.nodes` and `pack.mogle_core` below it."""
        if self.failure:
            raise RuntimeError(f"{self.host.name} could not load {REPOSITORY}:\n{self.failure}")
        return _loaded_from(REPOSITORY / "__init__.py")

    def module(self, name: str) -> ModuleType:
        """The copy of a module that ComfyUI runs, by its dotted name, such as `nodes.host`."""
        return importlib.import_module(f"{self.pack.__name__}.{name}")

    def node(self, node_id: str) -> Callable[..., tuple[Any, ...]]:
        """The node as a function of its inputs by keyword. Widgets that are not given have their defaults.

        It runs as in the executor: under `torch.inference_mode`, a V3 node on a locked copy of its class.
        """
        import nodes

        if node_id not in nodes.NODE_CLASS_MAPPINGS:
            raise LookupError(f"{self.host.name} has no node {node_id}. {self.failure}")
        return partial(_execute, nodes.NODE_CLASS_MAPPINGS[node_id])


def boot(host: Host, options: Mapping[str, Any] | None = None, extras: bool = True) -> Comfy:
    """Imports the ComfyUI at `host` into this process. This works once per process, for one host.

    options: ComfyUI's command line, by the names in `comfy.cli_args`; None is `--cpu`.
    extras: whether to load ComfyUI's further nodes and the tests' own pack.
    """
    base = Path(tempfile.mkdtemp(prefix="face-mogle-host-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    for folder in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / folder).mkdir()
    _import_comfy(host, base, {"cpu": True} if options is None else options)
    import nodes

    with _without_pytest_arguments():
        if extras:
            asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
            if failure := _load(TEST_PACK):
                raise RuntimeError(f"{host.name} could not load the tests' own pack:\n{failure}")
        return Comfy(host, base, _load(REPOSITORY))


def _import_comfy(host: Host, base: Path, options: Mapping[str, Any]) -> None:
    # In front of everything: this repository has a package `nodes`, and it may be the current directory.
    sys.path.insert(0, str(host.path))
    import comfy.cli_args

    # Before comfy.model_management and folder_paths, which decide at import.
    for name, value in options.items():
        setattr(comfy.cli_args.args, name, value)
    comfy.cli_args.args.base_directory = str(base)
    # Before nodes, which makes another `utils` come first.
    import utils.extra_config
    import utils.install_util  # noqa: F401

    import nodes  # noqa: F401

    # nodes.py put this in front, where it hides any module called ops, lora, utils, samplers ...
    inner = str(host.path / "comfy")
    sys.path[:] = [path for path in sys.path if path != inner] + [inner]


class _without_pytest_arguments:  # noqa: N801
    """Hides pytest's arguments, because some core nodes read sys.argv when they are imported."""

    def __enter__(self) -> None:
        self.arguments, sys.argv = sys.argv, sys.argv[:1]

    def __exit__(self, *_: object) -> None:
        sys.argv = self.arguments


def _load(pack: Path) -> str:
    """Makes ComfyUI load a pack. Returns what it logged if that failed."""
    import nodes

    log = LoadLog()
    logging.getLogger().addHandler(log)
    try:
        loaded = asyncio.run(nodes.load_custom_node(str(pack)))
    finally:
        logging.getLogger().removeHandler(log)
    return "" if loaded else "\n".join(log.lines)


def _loaded_from(file: Path) -> ModuleType:
    """The module that was imported from `file`, under whatever name ComfyUI gave it."""
    return next(m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == str(file))


def _execute(node: type, **inputs: Any) -> tuple[Any, ...]:
    import torch

    with torch.inference_mode():
        outcome = _function_of(node)(**(_defaults(node) | inputs))
        if inspect.iscoroutine(outcome):
            outcome = asyncio.run(outcome)
    if isinstance(outcome, dict):
        return tuple(outcome.get("result", ()))
    if isinstance(outcome, tuple):
        return outcome
    if outcome.block_execution is not None:
        raise RuntimeError(f"{node.__name__} blocked execution: {outcome.block_execution}")
    return tuple(outcome.args)


def _function_of(node: Any) -> Callable[..., Any]:
    from comfy_api.internal import _ComfyNodeInternal, make_locked_method_func

    if not issubclass(node, _ComfyNodeInternal):
        return getattr(node(), node.FUNCTION)
    node.VALIDATE_CLASS()
    return make_locked_method_func(node, node.FUNCTION, node.PREPARE_CLASS_CLONE(None))


def _defaults(node: Any) -> dict[str, Any]:
    """The values that the frontend fills in for widgets that nobody changed."""
    required = node.INPUT_TYPES().get("required", {})
    options = {name: spec[1] for name, spec in required.items() if len(spec) > 1}
    return {name: option["default"] for name, option in options.items() if "default" in option}
