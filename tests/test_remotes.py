"""Remotes and accidents: a real S3 API on localhost, processes that are really killed, files that
are really damaged.
"""

import contextlib
import csv
import hashlib
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
import yaml
from dvc.lock import make_lock
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from workflow import TINY, also, configure, jobs, run, snakemake

pytestmark = pytest.mark.slow

ONE = also(TINY, {"games": ["spaceinvaders"], "methods": {"st-dim": None}})
FRAMES = "results/episodes/random_agent/probe"
SPLITS = "results/splits/random_agent/paper/probe"
ENCODERS = "results/encoders/random_agent/paper/random-cnn"
MADE = (FRAMES, SPLITS, ENCODERS)  # SPLITS are made of FRAMES
FRAME_FILE = f"{FRAMES}/spaceinvaders-s0.b2nd"
SPLIT_FILE = f"{SPLITS}/spaceinvaders-s0.safetensors"
WEIGHTS = f"{ENCODERS}/spaceinvaders-s0.safetensors"


def stage(target: str) -> str:
    return target.removeprefix("results/").replace("/", "--")


@pytest.fixture(scope="module", autouse=True)
def machine(tmp_path_factory):
    """Nothing of this machine's own settings, and nothing left on it: DVC keeps notes of every run
    in /var/tmp.
    """
    notes = tmp_path_factory.mktemp("dvc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        )
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
            patch.setenv(name, str(notes / name))
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(notes / name))
        for name in ("AWS_PROFILE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "me")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def made(source, machine) -> Path:
    """A run of which three of its stages are made and recorded."""
    directory = source / "runs" / "made"
    configure(source, directory, ONE)
    done = snakemake(source, directory, SPLITS, ENCODERS)
    assert done.returncode == 0, done.stderr
    done = bridge(source, "record", directory)
    assert done.returncode == 0 and "3 of 22 stages recorded" in done.stdout, (
        done.stdout + done.stderr
    )
    return directory


@pytest.fixture
def copy(made, request):
    """A copy of the run, where paths of sources stay the same."""
    directory = made.with_name(re.sub(r"\W+", "-", request.node.name))
    shutil.copytree(made, directory)  # Snakemake's notes and modification times too
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def clone(made, request):
    """Makes what somebody else has of a run: the files in git."""
    directory = made.with_name(re.sub(r"\W+", "-", f"{request.node.name}-clone"))

    def clone(run: Path) -> Path:
        (directory / ".dvc").mkdir(parents=True)
        for file in (
            "config.yaml",
            "dvc.yaml",
            "code.yaml",
            "dvc.lock",
            "recorded.csv",
            ".dvc/config",
        ):
            shutil.copy(run / file, directory / file)
        return directory

    yield clone
    shutil.rmtree(directory)


class Bucket:
    """moto's S3 API over HTTP, with one bucket; it can keep uploads waiting."""

    def __init__(self):
        self.app = DomainDispatcherApplication(create_backend_app)
        self.puts = math.inf  # so many more are let through
        self.waits, self.goes_on, self.guard = (
            threading.Event(),
            threading.Event(),
            threading.Lock(),
        )
        self.server = make_server("127.0.0.1", 0, self.serve, threaded=True, request_handler=Quiet)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.port}"
        self.client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")
        self.client.create_bucket(Bucket="bucket")

    def serve(self, environ, start_response):
        if environ["REQUEST_METHOD"] == "PUT":
            with self.guard:
                self.puts -= 1
                waits = self.puts < 0
            if waits:
                self.waits.set()
                self.goes_on.wait(60)
                start_response("503 Service Unavailable", [])
                return []
        return self.app(environ, start_response)

    def keys(self, path: str) -> set[str]:
        return {
            entry["Key"]
            for entry in self.client.list_objects_v2(Bucket="bucket", Prefix=path).get(
                "Contents", []
            )
        }

    def change(self, key: str, change) -> None:
        body = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        self.client.put_object(Bucket="bucket", Key=key, Body=change(body))


class Quiet(MotoRequestHandler):
    def log(self, *_):
        pass


@pytest.fixture(scope="module")
def s3(machine):
    bucket = Bucket()
    yield bucket
    bucket.server.shutdown()


def bridge(source: Path, command: str, directory: Path, *more: str) -> subprocess.CompletedProcess:
    return run(source, sys.executable, "-m", "workflow_src", command, "--run", directory, *more)


def dvc(source: Path, directory: Path, *words: str) -> subprocess.CompletedProcess:
    return run(source, "dvc", "--cd", directory, *words)


def settled(source: Path, directory: Path, *words: str) -> str:
    """What a command of DVC says that must succeed."""
    done = dvc(source, directory, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def started(source: Path, *command: str | Path, **environment: str):
    """A process at work, which is killed at the end with all that it started."""
    environment = os.environ | {"PYTHONPATH": str(source)} | environment
    to = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process = subprocess.Popen(list(map(str, command)), cwd=source, env=environment, **to)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait(condition) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")


def contents(directory: Path) -> dict[str, bytes]:
    files = (file for file in (directory / "results").rglob("*") if file.is_file())
    return {str(file.relative_to(directory)): file.read_bytes() for file in files}


def sizes(directory: Path) -> dict[str, int]:
    """The files of a run's cache."""
    cache = directory / ".dvc/cache"
    return {
        str(file.relative_to(cache)): file.stat().st_size
        for file in cache.rglob("*")
        if file.is_file()
    }


def clean(source: Path, directory: Path) -> bool:
    """Whether DVC has nothing to say of the stages that were made."""
    return "up to date" in settled(source, directory, "status", *map(stage, MADE))


def is_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: "), (
        done.stdout + done.stderr
    )
    assert all(word in lines[0] for word in words), lines[0]


def hashes(directory: Path) -> dict[str, str]:
    """{file or folder: its hash} of all that is recorded."""
    with open(directory / "recorded.csv") as opened:
        found = {row["path"]: row["md5"] for row in csv.DictReader(opened)}
    recorded = yaml.safe_load((directory / "dvc.lock").read_text())["stages"]
    stages = [entry for name, entry in recorded.items() if name != "code"]  # its file is in git
    found.pop("code.yaml", None)
    return found | {out["path"]: out["md5"] for entry in stages for out in entry.get("outs", [])}


def at(path: str, md5: str) -> str:
    """Where DVC keeps an object, in a remote or its cache."""
    return f"{path}/files/md5/{md5[:2]}/{md5[2:]}"


def use(directory: Path, url: str, endpoint: str) -> None:
    """Give a run an S3 remote, as the documented two lines do."""
    (directory / ".dvc/config").write_text(
        f"[core]\n    no_scm = True\n    remote = s3\n['remote \"s3\"']\n    url = {url}\n    "
        f"endpointurl = {endpoint}\n"
    )


# --- remotes


def test_the_default_remote_is_made_when_first_used(source, copy):
    assert not (copy / "remote").exists()
    settled(source, copy, "push")
    assert all((copy / at("remote", md5)).exists() for md5 in hashes(copy).values())


def test_s3_by_two_lines_serves_somebody_else(source, copy, clone, s3):
    settled(source, copy, "remote", "add", "--default", "s3", "s3://bucket/two-lines")
    settled(source, copy, "remote", "modify", "s3", "endpointurl", s3.endpoint)
    settled(source, copy, "push")
    assert s3.keys("two-lines") == {at("two-lines", md5) for md5 in hashes(copy).values()}
    other = clone(copy)
    done = bridge(source, "adopt", other)
    assert done.returncode == 0 and "adopted 3 of 3" in done.stdout, done.stdout + done.stderr
    assert contents(other) == contents(copy)
    assert clean(source, other)


def test_a_killed_push_loses_nothing(source, copy, clone, s3):
    use(copy, "s3://bucket/killed", s3.endpoint)
    before = contents(copy)
    settled(source, copy, "push", stage(ENCODERS), stage(SPLITS))
    s3.puts = 1
    with started(source, "dvc", "--cd", copy, "push") as push:
        assert s3.waits.wait(60)
        push.kill()
        push.wait()
    s3.puts = math.inf
    s3.goes_on.set()
    assert s3.keys("killed") == {
        at("killed", md5) for name, md5 in hashes(copy).items() if name != FRAMES
    }
    assert clean(source, copy) and contents(copy) == before

    other = clone(copy)
    done = bridge(source, "adopt", other)
    assert done.returncode == 2 and "adopted 1 of 3" in done.stdout, done.stdout + done.stderr
    assert re.search(f"missing .*s3://bucket/killed.*: {FRAMES};.*push", done.stdout), done.stdout
    assert f"{SPLITS}: right, but made of what was not adopted" in done.stdout, done.stdout
    assert (other / WEIGHTS).read_bytes() == before[WEIGHTS]

    assert "1 file pushed" in settled(source, copy, "push")
    done = bridge(source, "adopt", other)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(other) == before


def test_a_damaged_object_is_named_and_not_blessed(source, copy, clone, s3):
    use(copy, "s3://bucket/damaged", s3.endpoint)
    before = contents(copy)
    settled(source, copy, "push")
    of = hashes(copy)
    s3.change(at("damaged", of[FRAME_FILE]), lambda body: body[:-1] + bytes([body[-1] ^ 1]))
    s3.change(at("damaged", of[WEIGHTS]), lambda body: body[: len(body) // 2])

    other = clone(copy)
    done = bridge(source, "adopt", other)
    assert done.returncode == 2 and "adopted 0 of 3" in done.stdout, done.stdout + done.stderr
    for file in (FRAME_FILE, WEIGHTS):
        assert re.search(f"{file}.* damaged", done.stdout), done.stdout
    assert f"{SPLITS}: right, but made of what was not adopted" in done.stdout
    wanted = jobs(source, other)
    assert (wanted.get("episodes"), wanted.get("encoders")) == (2, 1), (
        "Snakemake takes what is damaged as made"
    )
    assert (other / "dvc.lock").read_bytes() == (copy / "dvc.lock").read_bytes()
    assert contents(copy) == before

    settled(source, other, "pull", *map(stage, MADE))
    assert clean(source, other)  # says DVC, and adopt does not believe it
    done = bridge(source, "adopt", other)
    assert done.returncode == 2 and "adopted 0 of 3" in done.stdout, done.stdout + done.stderr

    for name in (FRAME_FILE, WEIGHTS):
        s3.client.delete_object(Bucket="bucket", Key=at("damaged", of[name]))
    assert "up to date" in settled(
        source, copy, "push"
    )  # DVC takes a folder whose list is there as all there
    for name in (FRAMES, ENCODERS):
        s3.client.delete_object(Bucket="bucket", Key=at("damaged", of[name]))
    assert "4 files pushed" in settled(source, copy, "push")
    for command in re.findall(
        "`(.+?)`", done.stdout
    ):  # the mends that the lines name, where they were printed
        mended = run(source, "sh", "-c", command)
        assert mended.returncode == 0, mended.stderr
    done = bridge(source, "adopt", other)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(other) == before


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "config, words",
    [
        (
            "[core]\n remote = local\n['remote \"local\"']\n url = ../remote\n",
            ["local", "not there"],
        ),
        ("[core]\n", ["none is set", "dvc remote add"]),
        ("[core]\n remote = gone\n", ["gone"]),
        (
            "[core]\n remote = s3\n['remote \"s3\"']\n url = s3://none/path\n endpointurl = {s3}\n",
            ["s3://none/path", "exist"],
        ),
        (
            "[core]\n remote = s3\n['remote \"s3\"']\n url = s3://bucket/path\n endpointurl = "
            "{nobody}\n",
            ["{nobody}"],
        ),
    ],
    ids=["directory", "none", "unknown", "bucket", "endpoint"],
)
def test_a_remote_that_is_not_there_is_named(source, made, clone, s3, nobody, config, words):
    other = clone(made)
    config = config.format(s3=s3.endpoint, nobody=nobody).replace(
        "[core]", "[core]\n no_scm = True"
    )
    (other / ".dvc/config").write_text(config)
    before = time.monotonic()
    done = bridge(source, "adopt", other)
    took = time.monotonic() - before
    said = done.stdout + done.stderr
    assert done.returncode == 2 and "Traceback" not in said, said
    words = [word.format(nobody=nobody) for word in words]
    assert all(word in said for word in words), said
    assert len(said.splitlines()) <= 4, said
    assert took < 60, f"it took {took:.0f} s to see that nobody is there"


def test_gc_removes_older_results_and_keeps_these(source, copy):
    old = copy / at(".dvc/cache", hashes(copy)[SPLIT_FILE])
    configure(source, copy, also(ONE, {"splits": {"probe": {"train": 0.6, "val": 0.2}}}))
    assert snakemake(source, copy, SPLITS, ENCODERS).returncode == 0  # and records at its end
    before = contents(copy)
    assert old.exists() and old.read_bytes() != before[SPLIT_FILE]
    settled(source, copy, "gc", "--workspace", "--force")
    assert not old.exists() and clean(source, copy)
    for target in MADE:
        shutil.rmtree(copy / target)
    settled(source, copy, "checkout", *map(stage, MADE))
    assert contents(copy) == before


# --- bad input and accidents


@pytest.fixture
def unrecorded(copy):
    """The run, as if its encoders were not recorded yet."""
    content = yaml.safe_load((copy / "dvc.lock").read_text())
    del content["stages"][stage(ENCODERS)]
    (copy / "dvc.lock").write_text(yaml.safe_dump(content))
    shutil.rmtree(copy / ".dvc/cache")
    return copy


@pytest.mark.parametrize("cache", ["/sys/dvc", "/proc/dvc"])
def test_a_cache_that_cannot_be_written(source, unrecorded, cache):
    before = (unrecorded / "dvc.lock").read_bytes(), (unrecorded / "recorded.csv").read_bytes()
    with open(unrecorded / ".dvc/config", "a") as config:
        config.write(f"[cache]\n    dir = {cache}\n")
    is_one_line(bridge(source, "record", unrecorded), "cannot write", cache)
    assert (
        (unrecorded / "dvc.lock").read_bytes(),
        (unrecorded / "recorded.csv").read_bytes(),
    ) == before


def test_a_cache_with_too_little_room(source, unrecorded):
    """A limit of 2 MB a file, which the weights exceed: DVC itself goes on, and says so only in its
    log.
    """
    before = (unrecorded / "dvc.lock").read_bytes()
    record = f"ulimit -f 2000; exec {sys.executable} -m workflow_src record --run {unrecorded}"
    done = run(source, "bash", "-c", record, warm=False)  # of which the limit holds
    is_one_line(done, "cannot write", "disk full")
    assert (unrecorded / "dvc.lock").read_bytes() == before
    assert bridge(source, "record", unrecorded).returncode == 0  # with room again
    assert clean(source, unrecorded)


@pytest.mark.parametrize("command", ["record", "adopt"])
def test_dvc_at_work_is_waited_for_and_named(source, copy, command):
    before = time.monotonic()
    with make_lock(str(copy / ".dvc/tmp/lock")):
        is_one_line(bridge(source, command, copy), "DVC is at work", "rm", "rwlock")
    assert time.monotonic() - before < 15, "waited for every stage anew"


def test_dvc_repro_at_work_and_killed(source, copy, tmp_path):
    lock, before = (copy / "dvc.lock").read_bytes(), contents(copy)
    (tmp_path / "hold").touch()
    late = tmp_path / "bin" / "snakemake"
    late.parent.mkdir()
    late.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/here\nwhile [ -e {tmp_path}/hold ]; do sleep 0.1; "
        'done\nexec false "$@"\n'
    )
    late.chmod(0o755)
    repro = ["repro", "--single-item", stage(ENCODERS)]
    path = os.pathsep.join([str(late.parent), os.environ["PATH"]])
    with started(source, "dvc", "--cd", copy, *repro, "--force", PATH=path) as process:
        wait((tmp_path / "here").exists)
        assert not (copy / WEIGHTS).exists()  # DVC has removed what it makes anew
        for command in ("record", "adopt"):
            is_one_line(bridge(source, command, copy), "DVC is at work", "wait")
        assert not (copy / WEIGHTS).exists(), "adopt has put files where DVC is at work"
        second = dvc(source, copy, *repro)
        assert second.returncode != 0 and "busy" in second.stderr
        process.kill()
        process.wait()
    assert (
        str(process.pid) in (copy / ".dvc/tmp/rwlock").read_text()
    )  # which DVC drops by itself: its process is gone
    done = bridge(source, "record", copy)
    assert done.returncode == 0 and re.search("recorded, but not here.*encoders", done.stdout), (
        done.stdout + done.stderr
    )
    settled(source, copy, *repro)
    assert (copy / "dvc.lock").read_bytes() == lock and contents(copy) == before


def test_snakemake_at_work_and_killed(source, copy):
    lock, before, cache, of = (
        (copy / "dvc.lock").read_bytes(),
        contents(copy),
        sizes(copy),
        hashes(copy),
    )
    for name in (name for name in of if name.startswith(SPLITS)):
        (copy / at(".dvc/cache", of[name])).unlink()
    shutil.rmtree(copy / SPLITS)
    noted = (copy / FRAME_FILE).stat()
    (copy / FRAME_FILE).touch()  # so that adopt has something for Snakemake to note
    snake = Path(sys.executable).with_name("snakemake")
    with started(source, snake, "--directory", copy, "--cores", "1", SPLITS) as process:
        wait(lambda: list((copy / ".snakemake").glob("incomplete/*")))
        os.killpg(process.pid, signal.SIGSTOP)
        is_one_line(
            bridge(source, "adopt", copy),
            "Snakemake is at work",
            f"snakemake --directory {copy} --unlock",
        )
        repro = dvc(source, copy, "repro", "--single-item", stage(SPLITS))
        assert repro.returncode != 0 and "--unlock" in repro.stdout + repro.stderr
        second = snakemake(source, copy, SPLITS)
        assert second.returncode != 0 and "cannot be locked" in second.stdout + second.stderr
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (copy / "dvc.lock").read_bytes() == lock
    assert not (copy / SPLIT_FILE).exists(), "it was killed too late for this test"
    os.utime(copy / FRAME_FILE, ns=(noted.st_atime_ns, noted.st_mtime_ns))
    (copy / "dvc.lock").unlink()
    assert snakemake(source, copy, "--unlock").returncode == 0
    assert snakemake(source, copy, SPLITS).returncode == 0  # and records at its end
    assert (copy / "dvc.lock").read_bytes() == lock and contents(copy) == before
    assert sizes(copy) == cache, "the same again needs room"


def test_a_stage_that_died_half_way_under_dvc(source, copy):
    recorded = yaml.safe_load((copy / "dvc.lock").read_text())["stages"]
    (copy / "dvc.lock").unlink()
    shutil.rmtree(copy / ".dvc/cache")
    shutil.rmtree(copy / "results")
    configure(source, copy, also(ONE, {"splits": {"min_entropy": 5.5}}))
    done = dvc(source, copy, "repro", stage(SPLITS))
    said = done.stdout + done.stderr
    assert done.returncode != 0 and f"failed to reproduce '{stage(SPLITS)}'" in said, said
    assert "Traceback" not in said and "DVC is at work" not in said, (
        said
    )  # within DVC, Snakemake records nothing
    assert list(yaml.safe_load((copy / "dvc.lock").read_text())["stages"]) == [
        "code",
        stage(FRAMES),
    ]
    assert not (copy / SPLIT_FILE).exists()
    configure(source, copy, ONE)
    said = settled(source, copy, "repro", stage(SPLITS))
    assert f"'{stage(FRAMES)}' didn't change" in said
    now = yaml.safe_load((copy / "dvc.lock").read_text())["stages"]
    now.pop("code")
    assert now == {name: recorded[name] for name in (stage(FRAMES), stage(SPLITS))}


def test_a_damaged_listing_is_no_matter_where_there_is_a_cache(source, copy):
    whole = (copy / "recorded.csv").read_bytes()
    (copy / "recorded.csv").unlink()
    for text in (None, b'a;b\n1;2\n"', b"\xff\xfe\x00 no text\n" * 9):
        if text is not None:
            (copy / "recorded.csv").write_bytes(text)
        done = bridge(source, "adopt", copy)
        assert done.returncode == 0 and "adopted 3 of 3" in done.stdout, (
            text,
            done.stdout + done.stderr,
        )
    done = bridge(source, "record", copy)
    assert done.returncode == 0 and (copy / "recorded.csv").read_bytes() == whole, (
        done.stdout + done.stderr
    )


def test_a_listing_that_was_edited_with_its_file_blesses_nothing(source, copy):
    shutil.rmtree(copy / ".dvc/cache")
    of = hashes(copy)
    (copy / SPLIT_FILE).write_bytes((copy / FRAME_FILE).read_bytes())
    (copy / "recorded.csv").write_text(
        (copy / "recorded.csv").read_text().replace(of[SPLIT_FILE], of[FRAME_FILE])
    )
    done = bridge(source, "adopt", copy)
    assert done.returncode == 2 and "adopted 2 of 3" in done.stdout, done.stdout + done.stderr
    assert re.search(f"(?m)^  .*{SPLITS}", done.stdout), done.stdout


# --- files of somebody else's, which name what is not theirs


@pytest.fixture
def theirs(copy, clone):
    """Somebody else's run, all of it in a remote, and files beside it that nobody may touch;
    `untouched` says so.
    """
    shutil.copytree(copy / ".dvc/cache/files", copy / "remote/files")
    other = clone(copy)
    (other / ".dvc/config").write_text(
        f"[core]\n no_scm = True\n remote = r\n['remote \"r\"']\n url = {copy}/remote\n"
    )
    beside = other.parent / f"{other.name}-beside"
    beside.mkdir()
    (beside / "precious").write_text("precious")
    yield SimpleNamespace(run=other, remote=copy / "remote", beside=beside)
    assert {file.name: file.read_text() for file in beside.iterdir()} == {"precious": "precious"}
    assert not (other / "results").is_dir() or not any(
        file.is_file() for file in (other / "results").rglob("*")
    )
    shutil.rmtree(beside)


def relist(theirs, rows: list[dict[str, str]], in_cache: bool = False) -> None:
    """Put a list of the splits' folder into the remote or the cache, and its hash in place of the
    right one.
    """
    text = json.dumps(sorted(rows, key=lambda row: row["relpath"]), sort_keys=True)
    digest = hashlib.md5(text.encode()).hexdigest() + ".dir"
    put = theirs.run / ".dvc/cache" if in_cache else theirs.remote
    (put / at("", digest).lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (put / at("", digest).lstrip("/")).write_text(text)
    right = hashes(theirs.run)[SPLITS]
    lock = theirs.run / "dvc.lock"
    lock.write_text(lock.read_text().replace(right, digest))


def to(theirs, kind: str) -> str:
    """A path from a run's folder of splits, or its cache, to the file beside it."""
    folder = theirs.run / (SPLITS if kind == "path" else ".dvc/cache/files/md5/aa")
    return os.path.relpath(theirs.beside / ("made" if kind == "path" else "precious"), folder)


@pytest.mark.parametrize(
    ("kind", "in_cache"),
    [
        *(
            (kind, False)
            for kind in ("path", "absolute", "hash", "absolute hash", "short hash", "more")
        ),
        *((kind, True) for kind in ("path", "hash")),
    ],
)
def test_a_list_of_a_folder_leads_nowhere_else(source, theirs, kind, in_cache):
    row = {"relpath": Path(SPLIT_FILE).name, "md5": hashes(theirs.run)[SPLIT_FILE]}
    changed = {
        "path": {"relpath": to(theirs, "path")},
        "absolute": {"relpath": f"{theirs.beside}/made"},
        "hash": {"md5": f"..{to(theirs, 'hash').removeprefix('..')}"},
        "absolute hash": {"md5": f"aa{theirs.beside}/precious"},
        "short hash": {"md5": "a" * 31},
        "more": {"etag": "a"},
    }
    relist(theirs, [row | changed[kind]], in_cache)
    (theirs.run / "recorded.csv").unlink()
    is_one_line(
        bridge(source, "adopt", theirs.run), "no file inside of it and its hash", "remove it"
    )
    if in_cache:
        is_one_line(bridge(source, "record", theirs.run), "no file inside of it")


@pytest.mark.parametrize(
    ("path", "md5"),
    [
        (SPLIT_FILE, "../{cache}"),
        (SPLIT_FILE, "aa{beside}/precious"),
        (f"{SPLITS}/../../../../../../../{{name}}/made", "{right}"),
        ("{beside}/made", "{right}"),
        (f"{SPLITS}//twice", "{right}"),
    ],
)
def test_two_edited_lines_touch_nothing(source, theirs, path, md5):
    """A row of recorded.csv, and the folder's hash in dvc.lock, which is made to agree with it."""
    cache = to(theirs, "hash")
    named = {
        "cache": cache,
        "beside": theirs.beside,
        "name": theirs.beside.name,
        "right": hashes(theirs.run)[SPLIT_FILE],
    }
    row = {"relpath": path.format(**named).removeprefix(f"{SPLITS}/"), "md5": md5.format(**named)}
    relist(theirs, [row])
    listing = theirs.run / "recorded.csv"
    lines = [line for line in listing.read_text().splitlines() if not line.startswith(f"{SPLITS}/")]
    listing.write_text("\n".join([*lines, f"{path.format(**named)},{row['md5']}", ""]))
    for command in ("adopt", "record", "verify") if md5.startswith("..") else ("adopt",):
        is_one_line(
            bridge(source, command, theirs.run),
            "recorded.csv has",
            "no file inside of the run",
            "git checkout",
        )


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../beside"},
        {"path": "/beside"},
        {"path": "results/../../beside"},
        {"path": 3},
        {"md5": "../" * 10},
        {"md5": "A" * 32},
        {"files": [{"relpath": "../../made", "md5": "a" * 32}]},
        {"hash": "md5-dos2unix"},
    ],
    ids=str,
)
def test_a_lock_that_names_what_is_outside(source, theirs, change):
    lock = theirs.run / "dvc.lock"
    content = yaml.safe_load(lock.read_text())
    content["stages"][stage(SPLITS)]["outs"][0] |= change
    lock.write_text(yaml.safe_dump(content))
    for command in ("adopt", "record", "verify") if "files" in change else ("adopt",):
        is_one_line(bridge(source, command, theirs.run), "dvc.lock is damaged", "git checkout")


def test_a_link_out_of_the_run_is_not_followed(source, theirs):
    (theirs.run / Path(SPLITS).parent).mkdir(parents=True)
    (theirs.run / SPLITS).symlink_to(theirs.beside)
    is_one_line(bridge(source, "adopt", theirs.run), SPLITS, "outside of the run", "link")
