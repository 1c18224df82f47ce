"""Runs commands of the workflow in forks of a process that has imported what they need.

A whole tiny run is some sixty jobs, and importing PyTorch is most of what each costs. Here a
command is still a process of its own, with its own code of `workflow_src`, arguments, environment
and files; only the libraries are already there. `sitecustomize.py` sends commands here.
"""

import atexit
import contextlib
import json
import os
import runpy
import socket
import sys
import threading
import traceback

# Third-party only: `workflow_src` is imported by each command, from the sources that it names.
LIBRARIES = (
    "ale_py blosc2 click cv2 gymnasium jinja2 matplotlib.backends.backend_agg matplotlib.figure "
    "numpy pandas PIL.Image pydantic safetensors.numpy scipy.stats snakemake.cli torch xxhash yaml"
)


def serve(path: str) -> None:
    """Fork for every command that comes in; ends with the process that started it."""
    for name in LIBRARIES.split():
        __import__(name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _supervise(connection)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def _supervise(connection: socket.socket) -> None:
    """Run a command in a process of its own, and tell its end; kill it if nobody waits any more."""
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    command = json.loads(message)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(command, files)
    for file in files:
        os.close(file)

    def watch() -> None:
        if not connection.recv(1):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, 9)

    threading.Thread(target=watch, daemon=True).start()
    status = os.waitpid(child, 0)[1]
    with contextlib.suppress(OSError):
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(command: dict, files: list[int]) -> None:
    """Be the process that the command would have been, and end."""
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(command["environment"])
        os.chdir(command["directory"])
        sys.argv, sys.orig_argv = command["argv"], command["orig_argv"]
        sys.executable = command["executable"]
        sys.path[:] = command["path"]
        for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            number = ("stdin", "stdout", "stderr").index(stream)
            setattr(sys, stream, open(number, mode, buffering=1, closefd=False))  # noqa: SIM115
        if command["module"]:
            runpy.run_module(command["module"], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(command["argv"][0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        # As at the end of any process: it waits for its threads, then for what asked to be called.
        for finish in (threading._shutdown, atexit._run_exitfuncs):
            with contextlib.suppress(Exception):
                finish()
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
