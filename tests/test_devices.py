"""Devices, on any machine: the locks of GPUs are files, so two made-up names do."""

import ctypes
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import types
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch

from workflow_src import devices
from workflow_src.errors import UserError

ROOT = Path(__file__).parent.parent
NAMES = ["fake-a", "GPU-fake-b"]
# How often memory was asked of the operating system while tensors of up to 32 MB were made and
# freed, time after time.
FAULTS = """
import resource, sys, torch
from workflow_src import devices

def faults():
    for size in (1_000_000, 4_000_000, 7_900_000) * 10:
        [torch.ones(size) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "acquired":
    with devices.acquire("cpu"):
        pass
print(-faults() + faults())
"""
# Takes a GPU, says which, and holds it until its input ends.
HOLDER = """
import sys
from pathlib import Path
from workflow_src import devices
with devices.free_gpu(sys.argv[2:], Path(sys.argv[1])) as index:
    print(index, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def as_before():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@contextmanager
def holder(directory, names=NAMES):
    """Another process that takes a GPU; it is up, but may have to wait for one."""
    command = [sys.executable, "-c", HOLDER, str(directory), *names]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def held(process):
    return int(process.stdout.readline())


def taken(directory, name):
    """Whether somebody holds the GPU; asked without waiting."""
    with ExitStack() as stack:
        lock = devices.filelock.FileLock(directory / f"workflow_src-gpu-{name}.lock")
        try:
            stack.enter_context(lock.acquire(timeout=0))
        except devices.filelock.Timeout:
            return True
    return False


def test_two_processes_get_different_gpus_and_a_third_waits(tmp_path, monkeypatch):
    waits = []
    with holder(tmp_path) as first, holder(tmp_path) as second:
        assert sorted([held(first), held(second)]) == [0, 1]
        assert all(taken(tmp_path, name) for name in NAMES)

        def release_one_after_three_waits(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                second.stdin.close()
                second.wait()

        monkeypatch.setattr(
            devices, "time", types.SimpleNamespace(sleep=release_one_after_three_waits)
        )
        with devices.free_gpu(NAMES, tmp_path) as third:
            assert second.poll() == 0 and first.poll() is None
            assert taken(tmp_path, NAMES[third]) and taken(tmp_path, NAMES[1 - third])
    assert len(waits) == 3


def test_a_killed_process_frees_its_gpu_at_once(tmp_path, monkeypatch):
    # Not time.sleep itself: threads that other tests have left may sleep, too.
    sleep = types.SimpleNamespace(sleep=lambda _: pytest.fail("the GPU is still held"))
    monkeypatch.setattr(devices, "time", sleep)
    with holder(tmp_path, NAMES[:1]) as process:
        assert held(process) == 0
        assert taken(tmp_path, NAMES[0])
        process.kill()
        process.wait()
        with devices.free_gpu(NAMES[:1], tmp_path) as index:
            assert index == 0
    assert not taken(tmp_path, NAMES[0])


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_a_gpu_is_freed_at_the_end_however_it_ends(tmp_path, error):
    try:
        with devices.free_gpu(NAMES, tmp_path) as index:
            assert index == 0
            assert [taken(tmp_path, name) for name in NAMES] == [True, False]
            if error:
                raise error
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    assert not any(taken(tmp_path, name) for name in NAMES)


def test_users_of_a_machine_share_its_gpus(monkeypatch):
    """In a directory such as /tmp, where nobody can open a file that another user made."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setattr(devices.tempfile, "tempdir", folder)
        with devices.free_gpu(NAMES) as index:
            assert index == 0
            (directory,) = Path(folder).iterdir()
            (lock,) = directory.iterdir()
            assert stat.S_IMODE(directory.stat().st_mode) == 0o777
            assert stat.S_IMODE(lock.stat().st_mode) == 0o666
            if os.getuid() == 0:  # then another user can be tried
                assert _index_of_another_user() == 1


def _index_of_another_user():
    """The GPU that a process of the user nobody gets; -1 if it fails."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 1
    code = 0
    try:
        signal.alarm(20)
        os.setuid(65534)
        with devices.free_gpu(NAMES) as index:
            code = 1 + index
    finally:
        os._exit(code)


def test_a_lock_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "workflow_src-gpu-fake-a.lock").mkdir()
    with (
        pytest.raises(UserError, match=r"cannot lock .*fake-a\.lock: is a directory; have its"),
        devices.free_gpu(NAMES, tmp_path),
    ):
        pass


def test_the_first_free_gpu_is_taken(tmp_path):
    with devices.free_gpu(NAMES[:1], tmp_path), devices.free_gpu(NAMES, tmp_path) as index:
        assert index == 1
    with devices.free_gpu(NAMES[::-1], tmp_path) as index:
        assert index == 0
        assert taken(tmp_path, NAMES[1])


def test_threads_of_one_process_do_not_share_a_gpu(tmp_path):
    found, both = [], threading.Barrier(2)

    def take():
        with devices.free_gpu(NAMES, tmp_path) as index:
            found.append(index)
            both.wait()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1]


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [
        (None, 2, ["0", "1"]),
        ("", 1, ["0"]),
        ("3", 1, ["3"]),
        ("2,0", 2, ["2", "0"]),
        (" 2 , 0 ,", 2, ["2", "0"]),
        ("GPU-1f2e,GPU-77", 2, ["GPU-1f2e", "GPU-77"]),
        ("1,0,7", 2, ["1", "0"]),  # the driver knows no GPU 7 and shows two
    ],
)
def test_gpus_bear_names_that_all_processes_share(monkeypatch, visible, count, names):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace())
    assert devices.gpu_names(count) == names
    # Two jobs that both see GPU 0, as in a container each does, see two GPUs.
    for number in (5, 6):
        properties = types.SimpleNamespace(uuid=f"4a0c-{number}")
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, p=properties: p)
        assert devices.gpu_names(1) == [f"4a0c-{number}"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_is_refused_where_there_is_none():
    with (
        pytest.raises(
            UserError, match=r"^device: cuda, but .* no usable CUDA device; set device: auto or"
        ),
        devices.acquire("cuda"),
    ):
        pytest.fail("there is no CUDA")


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_the_processor_where_there_is_no_gpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "free_gpu", lambda _: pytest.fail("no GPU is needed"))
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(2)
    with devices.acquire(name, threads=1) as device:
        assert device == torch.device("cpu")
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        assert torch.get_num_threads() == 1
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")


def test_the_processor_is_taken_when_asked_for_though_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "free_gpu", lambda _: pytest.fail("no GPU is needed"))
    with devices.acquire("cpu") as device:
        assert device == torch.device("cpu")


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_gpu_is_held_while_in_use(monkeypatch, tmp_path, name):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace())
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(NAMES))
    with devices.free_gpu(NAMES[:1]), devices.acquire(name) as device:
        assert device == torch.device("cuda", 1)
        assert chosen == [1]
        assert taken(tmp_path / "workflow_src-gpus", NAMES[1])
        assert not torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
    assert not taken(tmp_path / "workflow_src-gpus", NAMES[1])


def test_a_gpu_is_shared_by_as_many_as_asked_for(monkeypatch, tmp_path):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace())
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(NAMES))
    with ExitStack() as stack:
        for _ in range(4):  # one on each before a second on any
            stack.enter_context(devices.acquire("cuda", per_gpu=2))
        sleep = types.SimpleNamespace(sleep=lambda _: pytest.fail("is full"))
        monkeypatch.setattr(devices, "time", sleep)
        assert chosen == [0, 1, 0, 1]
        with (
            pytest.raises(pytest.fail.Exception, match="is full"),
            devices.acquire("cuda", per_gpu=2),
        ):
            pass
    with devices.acquire("cuda") as device:
        assert device == torch.device("cuda", 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("transposed", [False, True])
def test_products(dtype, transposed):
    x, weight, bias = (torch.randn(*shape, dtype=dtype) for shape in ((5, 7), (3, 7), (3,)))
    given = (x.T.contiguous().T, weight.T.contiguous().T) if transposed else (x, weight)
    torch.testing.assert_close(devices.product(*given, bias), x @ weight.T + bias)
    torch.testing.assert_close(devices.product(*given), x @ weight.T)
    bias[1] = -torch.inf
    assert (devices.product(*given, bias)[:, 1] == -torch.inf).all()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_kept():
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("plain", "acquired")
    }
    assert faults["acquired"] < 100 < faults["plain"]


def test_a_clusters_job_takes_the_gpu_it_was_given(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace())
    monkeypatch.setattr(devices, "free_gpu", lambda _: pytest.fail("it waits for nobody"))
    assert f'{devices.GIVEN}="1"' in (ROOT / "rules" / "common.smk").read_text()
    monkeypatch.setenv(devices.GIVEN, "1")
    with devices.acquire("cuda") as device:
        assert device == torch.device("cuda", 0)
