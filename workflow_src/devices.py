"""Devices: choosing one, sharing a GPU between jobs, deterministic kernels.

Snakemake counts GPUs but does not say which one a job got. A job therefore takes a lock file of its
GPU, by its UUID and for all users of the machine, for as long as it runs; the operating system
frees it when the process ends, however it ends. A cluster's job takes the GPU that it was given.
Here too is what a processor has to be told to be fast: to keep its memory, and which library makes
products.
"""

import contextlib
import ctypes
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import torch
import torch.nn.functional as F

from workflow_src.errors import UserError, explained

# Set in a cluster's job: the scheduler has chosen the GPU.
GIVEN = "WORKFLOW_SRC_GPU_GIVEN"
_POLL_SECONDS = 0.5
_DETERMINISTIC: Any = torch.utils.deterministic
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)  # PyTorch's own, not public
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


@contextlib.contextmanager
def acquire(name: str, threads: int | None = None, per_gpu: int = 1) -> Iterator[torch.device]:
    """Yield the device ``name`` (auto, cpu, cuda) with deterministic kernels and CPU ``threads``.

    On CUDA the first GPU that fewer than ``per_gpu`` other jobs of this machine hold, if all ask
    for the same number; waits while there is none. ``auto`` is CUDA where there is one, else the
    processor. `UserError` for ``cuda`` where there is none.
    """
    deterministic, before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    filled = _DETERMINISTIC.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Filling every new tensor, which that switches on, finds bugs in kernels; it changes no result
    # and costs a tenth.
    _DETERMINISTIC.fill_uninitialized_memory = False
    # Gradients of near-constant pixels become denormal numbers, which slowed ST-DIM on Pong from
    # 700 to 100 pairs/s.
    torch.set_flush_denormal(True)
    # cuBLAS picks its workspace, and with it the order of sums, at run time unless told.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _keep_memory()
    # float32 means float32: cuDNN's convolutions would take TF32, of 10 bits, by themselves.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if name == "cuda" and not gpus:
            raise UserError(
                "device: cuda, but this machine has no usable CUDA device; set device: auto or "
                "device: cpu"
            )
        if name == "cpu" or not gpus:
            yield torch.device("cpu")
        else:
            torch.backends.cudnn.benchmark = False
            names = gpu_names(gpus)
            places = [
                *names,
                *(f"{gpu}-{place}" for place in range(2, per_gpu + 1) for gpu in names),
            ]
            given = os.environ.get(GIVEN) == "1"
            with contextlib.nullcontext(0) if given else free_gpu(places) as index:
                torch.cuda.set_device(index % gpus)
                yield torch.device("cuda", index % gpus)
    finally:  # the process may be somebody's notebook
        torch.use_deterministic_algorithms(deterministic)
        _DETERMINISTIC.fill_uninitialized_memory = filled
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def precision(name: str, device: torch.device) -> str:
    """The number format that ``name`` (auto, bfloat16, float32) means on a device.

    ``auto`` is bfloat16 where the device has products of it, else float32, which is faster there: a
    processor without them computes each in several steps.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu.get_capabilities()
        native = any(has.get(feature) for feature in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bfloat16" if native else "float32"


def _keep_memory() -> None:
    """Have glibc keep freed tensors of up to 32 MB for the next ones, where this is glibc.

    It gives them back to the operating system at once, which then clears their pages again: 12,000
    page faults a training step, a seventh of its time, and half of the time of encoding in batches
    of 256.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most it takes
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """``x @ weight.T + bias`` without autograd: (n, d), (m, d), (m,) -> (n, m).

    By oneDNN on a processor, as PyTorch's convolutions are: MKL, which it takes for products, has
    no good kernels for AMD's processors (175 GFLOP/s where oneDNN has 350; a step of a probe of 6
    variables 0.72 ms, so 0.46).
    """
    if x.device.type == "cpu" and x.dtype == torch.float32 and _ONEDNN:
        return torch.ops.mkldnn._linear_pointwise(
            x.contiguous(), weight.contiguous(), bias, "none", [], ""
        )
    return F.linear(x, weight, bias)


def gpu_names(count: int) -> list[str]:
    """Machine-wide names of this process's ``count`` GPUs, in its own order: their UUIDs.

    Without them, as they are called in ``CUDA_VISIBLE_DEVICES``.
    """
    found = [getattr(torch.cuda.get_device_properties(gpu), "uuid", None) for gpu in range(count)]
    if all(found):
        return [str(uuid) for uuid in found]
    visible = [
        part.strip()
        for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        if part.strip()
    ]
    return visible[:count] if visible else [str(index) for index in range(count)]


@contextlib.contextmanager
def free_gpu(names: list[str], directory: Path | None = None) -> Iterator[int]:
    """Hold the first free GPU of ``names``, waiting for one; yields its index in ``names``.

    The locks lie in ``directory``, by default one that all users of this machine share. `UserError`
    where they cannot be opened.
    """
    directory = directory or _shared_directory()
    locks = [
        filelock.FileLock(directory / f"workflow_src-gpu-{name}.lock", mode=0o666) for name in names
    ]
    while True:
        for index, lock in enumerate(locks):
            with contextlib.suppress(filelock.Timeout):
                try:
                    lock.acquire(timeout=0)
                except filelock.Timeout:  # also an OSError
                    raise
                except OSError as error:
                    raise UserError(
                        f"cannot lock {lock.lock_file}: {str(error.strerror).lower()}; have its "
                        "owner remove it, or set TMPDIR to a directory of your own"
                    ) from error
                try:
                    yield index
                finally:
                    lock.release()
                return
        time.sleep(_POLL_SECONDS)


def _shared_directory() -> Path:
    """Where the locks of all users lie, below the directory for temporary files.

    Not in that itself: where it has the sticky bit, Linux lets nobody open what another user made.
    """
    directory = Path(tempfile.gettempdir()) / "workflow_src-gpus"
    with explained("write", directory):
        directory.mkdir(exist_ok=True)
    with contextlib.suppress(PermissionError):  # another user's: open already
        directory.chmod(0o777)
    return directory
