"""Which of the interfaces that the mask stream counts on a ComfyUI has, and what it has that we do not know.

    python tests/host/interfaces.py [PATH_OF_A_COMFYUI]

In an environment that can start it (environment.py makes one). Builds no model. Exits with 1 if anything differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "shared")]

from support import hosts
from support.in_process import boot


def main(arguments: list[str]) -> int:
    host = hosts.Host(Path(arguments[0]).absolute()) if arguments else hosts.choose()
    comfy = boot(host)
    interfaces = comfy.module("nodes.host.interfaces")
    versions = comfy.module("nodes.host.versions")
    print(f"{host.name} in {host.path}")
    for interface in interfaces.INTERFACES:
        found = list(interface.findings())
        print(f"  {interface.name}: {', '.join(f'{kind} {name}' for kind, name in found) or 'as known'}")
    for name in ("PATCHES_ATTENTION", "PREFERS_ATTENTION", "ASKS_FOR_PRECISION", "PAUSES_MALLOC_GRAPH"):
        print(f"  {name.lower()}: {getattr(versions, name)}")
    return 1 if interfaces.findings() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
