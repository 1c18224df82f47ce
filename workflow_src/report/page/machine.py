"""The versions of the software, and the machine that makes the page."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("atariari", "ale-py", "torch", "numpy", "pandas", "scikit-learn", "snakemake")


def package_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that affect the results."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """The processor and GPUs of this machine; nothing that changes from one moment to the next."""
    return {
        "Processor": _processor(),
        "Cores": str(os.cpu_count()),
        "System": f"{platform.system()} {platform.machine()}",
        "GPU": ", ".join(_gpus()) or "none",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _gpus() -> Iterator[str]:
    """Names of NVIDIA GPUs, found without torch, which takes seconds to load."""
    if shutil.which("nvidia-smi") is None:
        return
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0:
        yield from filter(None, map(str.strip, done.stdout.splitlines()))
