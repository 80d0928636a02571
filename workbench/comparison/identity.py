"""Everything that the numbers of a comparison depend on: a run may go on only where all of it is the same."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import workbench
from workbench.comparison.settings import Settings
from workbench.parallel import cores
from workbench.semantics import SemanticTask

#: Libraries that compute.
_LIBRARIES = ("numpy", "scipy", "torch")


def run_identity(task: SemanticTask, settings: Settings) -> dict[str, Any]:
    """Settings, task, code and machine, as plain data.

    The number of cores decides how work is cut up, and so the last digits; the processor decides which instructions the
    libraries choose.
    """
    import torch

    device = settings.resolve_device()
    libraries = _LIBRARIES + ("triton",) * (device == "cuda" and find_spec("triton") is not None)
    return {
        "settings": settings.record(),
        "task_name": task.name,
        "task_data": task.digest,
        "workbench": workbench.__version__,
        "code": code_digest(),
        **{name: version(name) for name in libraries},
        "machine": f"{platform.system()} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "cores": cores(),
        "torch_threads": torch.get_num_threads(),
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
    }


def code_digest() -> str:
    """First 12 hex digits of a SHA-256 over the package's source: a version number says too little."""
    root, h = Path(workbench.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        h.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return h.hexdigest()[:12]
