"""The hardware limits: the bare emulator, a large matrix product, a copy of memory."""

import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

SECONDS = 2.0


def play_bare(game: str, steps: int, seed: int) -> float:
    """Seconds for ``steps`` of four emulator frames, in one process, loading aside."""
    import ale_py
    from ale_py import ALEInterface, LoggerMode

    from workflow_src.ari.games import rom_name

    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setInt("frame_skip", 4)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path(rom_name(game)))
    actions = ale.getMinimalActionSet()
    drawn = np.random.default_rng(seed).integers(1, len(actions), steps).tolist()
    start = time.perf_counter()
    for action in drawn:
        ale.act(actions[action])
        if ale.game_over():
            ale.reset_game()
    return time.perf_counter() - start


def emulator(game: str, steps: int, workers: int) -> float:
    """Steps a second of ``workers`` emulators at once: `act` with a frame skip of 4, no more."""
    with ProcessPoolExecutor(workers) as pool:
        return steps / max(
            pool.map(play_bare, [game] * workers, [steps // workers] * workers, range(workers))
        )


def copy(megabytes: int = 256, seconds: float = SECONDS) -> float:
    """GB copied a second from one array to another, by one thread."""
    source, target = np.ones((2, megabytes * 2**20), np.uint8)
    return _per_second(lambda: np.copyto(target, source), source.nbytes / 1e9, seconds)


def product(
    precision: str,
    threads: int,
    size: int | None = None,
    seconds: float = SECONDS,
    device: str = "auto",
) -> float:
    """GFLOP/s of a product of two square matrices, large ones unless a ``size`` is given."""
    import torch

    from workflow_src import devices

    with devices.acquire(device, threads) as device:
        size = size or (8192 if device.type == "cuda" else 4096)
        left, right = torch.rand(2, size, size, device=device).to(getattr(torch, precision))
        wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

        def multiply() -> None:
            torch.mm(left, right)
            wait()

        return _per_second(multiply, 2 * size**3 / 1e9, seconds)


def _per_second(do, amount: float, seconds: float) -> float:
    """How much a second, where a call does ``amount``; the first one does not count."""
    do()
    calls, start, taken = 0, time.perf_counter(), 0.0
    while not calls or taken < seconds:
        do()
        calls += 1
        taken = time.perf_counter() - start
    return calls * amount / taken
