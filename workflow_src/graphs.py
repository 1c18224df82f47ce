"""CUDA graphs: the kernels of a step recorded once, and launched together from then on.

A step is some hundred small kernels, which a GPU ends sooner than Python can launch them one by
one. A recording launches the same kernels in the same order, so it changes no result. It reads and
writes tensors at fixed addresses.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

# Calls that run before the recording: what libraries set up at their first calls cannot be
# recorded.
WARM_UP = 3


class Recorded:
    """A function of tensors, recorded at its fourth call on CUDA; elsewhere, called as it is.

    Every call must have arguments of the same shapes and types. What it returns is overwritten by
    the next call. ``generators``: gives those that the function draws from, on the device.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        device: torch.device,
        enabled: bool = True,
        generators: Callable[[], Iterable[torch.Generator]] = tuple,
    ):
        self._function, self._generators = function, generators
        self._on = enabled and device.type == "cuda"
        self._calls = 0
        # The tensors that recorded kernels read, what launches them, and what they write.
        self._inputs: list[torch.Tensor] = []
        self._replay: Callable[[], None] | None = None
        self._result: Any = None

    def __call__(self, *arguments: torch.Tensor) -> Any:
        """Call the function, or launch what was recorded of it."""
        if not self._on:
            return self._function(*arguments)
        if self._calls < WARM_UP:
            self._calls += 1
            with side_stream():
                return self._function(*arguments)
        if self._replay is None:
            self._inputs = [argument.clone() for argument in arguments]
            self._replay = record(self._run, self._generators())
        for to, given in zip(self._inputs, arguments, strict=True):
            to.copy_(given, non_blocking=True)
        self._replay()
        return self._result

    def _run(self) -> None:
        self._result = self._function(*self._inputs)


@contextlib.contextmanager
def fork(device: torch.device) -> Iterator[Callable[[], None]]:
    """Run beside what follows on CUDA, also when recorded; what is yielded waits for its end.

    Call that before a result is used.
    """
    if device.type != "cuda":
        yield lambda: None
        return
    stream, main = _beside(device), torch.cuda.current_stream(device)
    stream.wait_stream(main)
    with torch.cuda.stream(stream):
        yield lambda: main.wait_stream(stream)


@functools.cache
def _beside(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


@contextlib.contextmanager
def side_stream() -> Iterator[None]:
    """Run on another stream, as CUDA requires of what is recorded later."""
    stream, main = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(main)
    with torch.cuda.stream(stream):
        yield
    main.wait_stream(stream)


def record(run: Callable[[], None], generators: Iterable[torch.Generator]) -> Callable[[], None]:
    """Record the kernels of ``run`` without running them; returns what launches them."""
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        run()
    return graph.replay
