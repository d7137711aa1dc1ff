"""Everything about a GPU in one command of at most nine minutes: is it right, how fast, how much memory, training.

    python tests/bench/gpu.py --out DIR             on a card: FLUX.1-dev's size, random weights
    python tests/bench/gpu.py --small               reduced geometry, any device: that all of it still runs
    python tests/bench/gpu.py --only speed          one part, or several

Each part runs in a process of its own with a time limit; whatever one of them does, the others follow, the most
important first. What is found is printed at once, a JSON line each; at the end comes one table, and DIR/gpu.json holds
all of it. The exit status is 1 if anything failed. What a machine without a network lacks, `gpu_kit.py` has put into
the folder `kit`, which is used when it is there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parents[1]
sys.path[:0] = [str(BENCH.parent / "shared"), str(REPOSITORY), str(BENCH)]

TOTAL = 540
"""Seconds of the whole run."""
SLOWER = 5
"""Times as long may it take small: processors differ more than cards, and tests share theirs."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """seconds: after which it is ended. module: in the folder `gpu_parts`. argument: which of its kinds."""

    seconds: int
    module: str
    argument: str = ""


PARTS = {
    "correctness": Part(60, "correctness"),
    "host": Part(70, "host"),
    "speed": Part(80, "speed", "bf16"),
    "speed fp8": Part(60, "speed", "fp8"),
    "lowvram": Part(30, "streaming", "lowvram"),
    "novram": Part(30, "streaming", "novram"),
    "dynamicvram": Part(30, "streaming", "dynamicvram"),
    "memory": Part(70, "memory"),
    "training": Part(110, "training"),
    "encoders": Part(30, "encoders"),
    "compiled": Part(90, "compiled", "parts"),
    "official": Part(120, "official"),
    "compiled whole": Part(240, "compiled", "whole"),
}
"""The most important first. Together they would take longer than TOTAL if all of them used their limits: the last
ones get what is left."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.part:
        return run_part(options)
    with tempfile.TemporaryDirectory(prefix="mogle-gpu-") as folder:
        environment = _environment(options.kit, Path(folder))
        return run_all(options, environment, Path(folder))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a folder for gpu.json and the parts' own output")
    parser.add_argument("--only", action="append", choices=[*PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--small", action="store_true", help="reduced geometry, any device")
    parser.add_argument("--device", help="(default: a GPU if there is one)")
    parser.add_argument("--kit", type=Path, default=REPOSITORY / "kit", help="(default: kit in the repository)")
    parser.add_argument("--seconds", type=float, default=TOTAL, help=f"of the whole run (default: {TOTAL})")
    parser.add_argument("--part", choices=[*PARTS], help=argparse.SUPPRESS)
    # For the test of what happens then: `PART=how`, of `raises`, `dies`, `hangs`.
    parser.add_argument("--break", dest="broken", action="append", default=[], help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _environment(kit: Path, folder: Path) -> dict[str, str]:
    """What the parts' processes are told: the kit's packages and its ComfyUI, if there is a kit."""
    environment = dict(os.environ)
    if (kit / "CONTENTS.txt").is_file():
        from gpu_kit import unpack

        environment |= unpack(kit, folder)
    return environment


# --- The parts, from outside.


def run_all(options: argparse.Namespace, environment: dict[str, str], folder: Path) -> int:
    names = [name for name in PARTS if not options.only or name in options.only]
    out = options.out or folder
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.seconds * (SLOWER if options.small else 1)
    rows: list[Row] = []
    # On a card one after the other, or their times would be each other's. Small, they only have to run.
    with ThreadPoolExecutor(2 if options.small else 1) as pool:
        for found in pool.map(lambda name: _one(name, options, environment, out, end), names):
            rows += found
            _write(out, {}, rows)
    # Only now: asking takes memory of the card.
    _write(out, machine(options), rows)
    print_table(rows)
    return int(any(row.get("ok") is False for row in rows))


def _write(out: Path, card: Row, rows: Sequence[Row]) -> None:
    (out / "gpu.json").write_text(json.dumps({"machine": card, "rows": rows}, indent=1))


def _one(name: str, options: argparse.Namespace, environment: dict[str, str], out: Path, end: float) -> list[Row]:
    """All rows of a part, the last of them its time."""
    begun, rows = time.monotonic(), []
    seconds = min(float(PARTS[name].seconds * (SLOWER if options.small else 1)), end - begun)
    if seconds < 5:
        rows = [{"part": name, "what": "all of it", "note": "not measured: no time was left"}]
        _tell(rows[0])
        return rows
    command = [sys.executable, __file__, "--part", name, "--seconds", str(seconds)]
    command += ["--small"] * options.small + [f"--device={options.device}"] * bool(options.device)
    command += [f"--break={how}" for how in options.broken]
    with (out / f"{name.replace(' ', '_')}.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, start_new_session=True
        )
        for line in lines_until(process, begun + seconds + 2):
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
                _tell(rows[-1])
    row: Row = {"part": name, "what": "the part's time", "value": time.monotonic() - begun, "unit": "s"}
    if process.returncode:
        last = Path(log.name).read_text(errors="replace").strip().splitlines()[-1:]
        why = (
            f"ended after {seconds:.0f} s" if process.returncode == -signal.SIGKILL else f"status {process.returncode}"
        )
        row |= {"ok": False, "note": f"{why}: {last[0][:300] if last else 'it said nothing'}"}
    _tell(row)
    return [*rows, row]


def lines_until(process: subprocess.Popen[str], end: float) -> Iterator[str]:
    """What a process writes, until it is over; at `end` it is killed with all that it started."""
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()

    def read(stream: Any) -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=max(0.1, end - time.monotonic()))
        except queue.Empty:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            break
        if line is None:
            break
        yield line
    process.wait()


def _tell(row: Row) -> None:
    print(json.dumps(row), flush=True)


def machine(options: argparse.Namespace) -> Row:
    """Which card, which versions."""
    import platform

    import torch

    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
    return {"card": card, "torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version(),
            "small": options.small}  # fmt: skip


def print_table(rows: Sequence[Row]) -> None:
    print(f"\n{'part':16}{'what':58}{'':>6} {'value':>12} {'unit':9} more")
    for row in rows:
        value = row.get("value")
        shown = f"{value:.4g}" if isinstance(value, int | float) else str(value or "")
        state = {True: "ok", False: "FAILED"}.get(row.get("ok"), "")
        known = ("part", "what", "value", "unit", "ok", "note")
        more = [f"{name} {_short(given)}" for name, given in row.items() if name not in known]
        more += [row["note"]] if row.get("note") else []
        print(f"{row['part']:16}{row['what']:58}{state:>6} {shown:>12} {row.get('unit', ''):9} {', '.join(more)}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# --- A part, from inside.


def run_part(options: argparse.Namespace) -> int:
    if PARTS[options.part].argument == "dynamicvram":
        _before_torch()
    from support.rows import Rows, answering

    answers = answering()
    _break(options)
    if os.environ.get("MOGLE_KIT"):
        from support import stand_ins

        # ComfyUI alone gets one of torchvision, which diffusers and transformers would take for the package.
        stand_ins.install(name for name in stand_ins.PACKAGES if name != "torchvision")
    import torch

    torch.manual_seed(0)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    part = PARTS[options.part]
    rows = Rows(options.part, device, options.small, time.monotonic() + options.seconds, answers)
    if device.type == "cuda":
        # What a row says of float32 is about float32.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    else:
        torch.set_num_threads(1)
    importlib.import_module(f"gpu_parts.{part.module}").run(rows, *([part.argument] if part.argument else []))
    return 0


def _before_torch() -> None:
    """DynamicVRAM's library takes its place between torch and the driver, so ComfyUI loads it before torch."""
    try:
        import comfy_aimdo.control
    except ImportError:
        return
    try:
        comfy_aimdo.control.init(nvml_pressure=True)
    except TypeError:  # before 0.4.10
        comfy_aimdo.control.init()


def _break(options: argparse.Namespace) -> None:
    how = dict(one.split("=") for one in options.broken).get(options.part)
    if how == "raises":
        raise RuntimeError("made to fail")
    if how == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hangs":
        time.sleep(1000)


if __name__ == "__main__":
    sys.exit(main())
