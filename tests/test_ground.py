"""The ground floor: errors, seeds, and every kind of file."""

import contextlib
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from workflow_src import artifacts, seeds
from workflow_src.errors import DamagedFile, UserError, did_you_mean, explained, one_of

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([1, -2], np.int16),
    "none": np.zeros((0, 4), np.uint8),
}
HEADER = {"game": "pong", "seed": 0, "nested": {"z": 1.5, "a": [1, "é"]}}


def write(path, arrays=None, header=None, kind="thing"):
    artifacts.write_arrays(path, kind, arrays or ARRAYS, HEADER if header is None else header)
    return path


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].dtype == expected[name].dtype and np.array_equal(found[name], expected[name])
        for name in expected
    )


def dead_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


# Errors


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EACCES, "permission denied; make the directory writable"),
        (errno.EPERM, "permission denied; make the directory writable"),
        (errno.ENOTDIR, "a part of the path is a file, not a directory; move it away"),
        (errno.EEXIST, "a part of the path is a file, not a directory; move it away"),
        (errno.EROFS, "the file system is read-only; choose another"),
    ],
)
def test_what_the_system_refuses_is_explained(code, text):
    with (
        pytest.raises(UserError, match=rf"^cannot write some/file: {text}") as refusal,
        explained("write", "some/file"),
    ):
        raise OSError(code, os.strerror(code))
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_other_errors_pass():
    with pytest.raises(OSError, match="of a library"), explained("write", "x"):
        raise OSError("of a library")
    with pytest.raises(ZeroDivisionError), explained("write", "x"):
        raise ZeroDivisionError


def test_an_error_that_nobody_foresaw_keeps_the_words_of_the_system():
    with (
        pytest.raises(UserError, match=r"^cannot write x: no child processes; check the path$"),
        explained("write", "x"),
    ):
        raise OSError(errno.ECHILD, "it")


def test_a_missing_file_is_to_be_made(tmp_path):
    with pytest.raises(
        UserError, match=r"^cannot read .*nothing: there is no such file; make it first$"
    ):
        artifacts.read_json(tmp_path / "nothing")


@pytest.mark.parametrize("inner", ["file", "file/more"], ids=["parent", "grandparent"])
@pytest.mark.parametrize("writer", [artifacts.write_text, write], ids=["text", "arrays"])
def test_a_path_below_a_file_is_refused(tmp_path, inner, writer):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        UserError, match=r"^cannot write .*: a part of the path is a file, not a directory"
    ):
        writer(tmp_path / inner / "out", {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="it is a directory; move it away"):
        artifacts.write_text(tmp_path / "out", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_names_are_suggested():
    assert did_you_mean("betaa", ["alpha", "beta"]) == " (did you mean beta?)"
    assert did_you_mean("zzz", ["alpha", "beta"]) == ""
    assert one_of("letter", "beta", ["alpha", "beta"]) == "beta"
    with pytest.raises(
        UserError, match=r"^unknown letter 'betaa' \(did you mean beta\?\); known: alpha, beta$"
    ):
        one_of("letter", "betaa", iter(["alpha", "beta"]))


# Seeds


def test_seeds_are_stable_63_bit_numbers():
    assert seeds.derive(0, "pong", "episodes") == 6604534650784216335
    assert seeds.derive(7) == int.from_bytes(hashlib.sha256(b"7").digest()[:8], "big") >> 1
    assert all(0 <= seeds.derive(root, "x") < 2**63 for root in range(100))


def test_every_name_and_root_has_a_seed_of_its_own():
    names = [
        (),
        ("",),
        ("a",),
        ("b",),
        ("a", "b"),
        ("b", "a"),
        ("ab",),
        ("a/b", "c"),
        ("a", "b/c"),
        ("a", "b", "c"),
        (11,),
        (1, 1),
    ]
    drawn = [seeds.derive(root, *name) for root in (0, 1, 11) for name in names]
    assert len(set(drawn)) == len(drawn)
    assert seeds.derive(1, 1) == seeds.derive(1, "1")


def test_generators_repeat_and_differ():
    first, again, other = (seeds.generator(3, name).random(50) for name in ("x", "x", "y"))
    assert np.array_equal(first, again)
    assert not np.isin(first, other).any()


# Atomic writing


def test_atomic_replaces_whole_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "new" / "file"
    for text in ("long first text", "2nd"):
        before = target.read_text() if target.exists() else None
        with artifacts.atomic(target) as temporary:
            temporary.write_text(text)
            assert temporary.parent == target.parent
            assert (target.read_text() if target.exists() else None) == before
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_atomic_leaves_nothing_after_an_error(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(error), artifacts.atomic(target) as temporary:
        temporary.write_text("half")
        raise error
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_atomic_explains_a_full_disk(tmp_path):
    with (
        pytest.raises(UserError, match=r"cannot write .*file: the disk is full"),
        artifacts.atomic(tmp_path / "file") as file,
    ):
        file.write_text("half")
        raise OSError(errno.ENOSPC, "full")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_scratch_is_there_while_needed(tmp_path, error):
    try:
        with artifacts.scratch(tmp_path / "out") as directory:
            (directory / "part").write_text("x")
            assert directory.parent == tmp_path
            if error:
                raise error
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("use", [artifacts.atomic, artifacts.scratch])
def test_what_the_dead_left_is_swept_and_the_living_keep_theirs(tmp_path, use):
    name = "a[1]*.txt"  # no pattern, for all its signs
    here = artifacts._here()
    dead, living = f"{here}-{dead_pid()}", f"{here}-{os.getppid()}"
    elsewhere = f"0a1b2c3d-{dead_pid()}"  # on another machine, or in another container
    swept = [f".{name}.{dead}.tmp", f".{name}.{dead}.parts"]
    kept = [
        f".{name}.{living}.tmp",
        f".{name}.{living}.parts",
        f".other.{dead}.tmp",
        f".a1b.txt.{dead}.tmp",
        f".{name}.{dead}.txt",
        f".{name}.{elsewhere}.tmp",
        f".{name}.{elsewhere}.parts",
        f".{name}.x{dead}.tmp",
        f".{name}.more.{dead}.tmp",
        "visible",
    ]
    for left in swept + kept:
        path = tmp_path / left
        if left.endswith(".parts"):
            path.mkdir()
            path /= "inner"
        path.write_text("left")
    with use(tmp_path / name) as temporary:
        if use is artifacts.atomic:
            temporary.write_text("done")
            kept.append(name)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_a_killed_writer_leaves_no_file_of_the_final_name(tmp_path):
    code = (
        "import os, signal, sys; from workflow_src import artifacts\n"
        "with artifacts.atomic(sys.argv[1]) as file: file.write_text('half'); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "file"]).returncode == -9
    assert [path.name.endswith(".tmp") for path in tmp_path.iterdir()] == [True]
    artifacts.write_text(tmp_path / "file", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# JSON


def test_json_is_sorted_and_comes_back(tmp_path):
    path = tmp_path / "x.json"
    artifacts.write_json(path, HEADER)
    assert artifacts.read_json(path) == HEADER
    text = path.read_bytes()
    assert text.endswith(b"}\n") and text.index(b'"game"') < text.index(b'"nested"') < text.index(
        b'"seed"'
    )
    artifacts.write_json(path, dict(reversed(HEADER.items())))
    assert path.read_bytes() == text


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_what_is_no_number(tmp_path, number):
    with pytest.raises(ValueError, match="JSON compliant"):
        artifacts.write_json(tmp_path / "x.json", {"f1": [number]})
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / "x", header={"loss": number})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe", b"{'a': 1}"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"x\.json is damaged .*: delete it and make it again$"):
        artifacts.read_json(path)


# Arrays


def test_arrays_come_back(tmp_path):
    path = write(tmp_path / "x")
    arrays, header = artifacts.read_arrays(path, "thing")
    assert same(arrays, ARRAYS)
    assert header == HEADER == artifacts.read_header(path, "thing")


def test_arrays_that_are_not_contiguous_come_back(tmp_path):
    array = np.arange(24).reshape(4, 6)[::2, ::-3].T
    found, _ = artifacts.read_arrays(write(tmp_path / "x", {"a": array}), "thing")
    assert same(found, {"a": array})


def test_same_content_gives_the_same_bytes(tmp_path):
    first = write(tmp_path / "1").read_bytes()
    assert (
        write(
            tmp_path / "2", dict(reversed(ARRAYS.items())), dict(reversed(HEADER.items()))
        ).read_bytes()
        == first
    )
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_ground as "
        "t; t.write(sys.argv[1])"
    )
    for hash_seed in ("1", "2"):
        path = tmp_path / f"hash{hash_seed}"
        subprocess.run(
            [sys.executable, "-c", code, path],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        )
        assert path.read_bytes() == first


def test_no_flipped_bit_goes_unseen(tmp_path):
    whole = write(tmp_path / "x").read_bytes()
    path, refused = tmp_path / "flipped", 0
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            arrays, header = artifacts.read_arrays(path, "thing")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert same(arrays, ARRAYS) and header == HEADER, place
        with contextlib.suppress(UserError):
            artifacts.read_header(path, "thing")
    assert refused > 0.9 * 8 * len(whole)


def test_no_truncation_goes_unseen(tmp_path):
    whole = write(tmp_path / "x").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "x").write_bytes(whole[:length])
        with pytest.raises(UserError):
            artifacts.read_arrays(tmp_path / "x", "thing")
    (tmp_path / "x").write_bytes(whole + b"\0")
    with pytest.raises(DamagedFile):
        artifacts.read_arrays(tmp_path / "x", "thing")


@pytest.mark.parametrize("reader", [artifacts.read_arrays, artifacts.read_header])
def test_other_files_are_refused(tmp_path, monkeypatch, reader):
    path = write(tmp_path / "x")
    with pytest.raises(UserError, match=r"x holds thing, not weights: name the right file$"):
        reader(path, "weights")
    (tmp_path / "text").write_text("no arrays")
    with pytest.raises(DamagedFile, match=r"text is damaged, or not a file of thing"):
        reader(tmp_path / "text", "thing")
    with pytest.raises(UserError, match=r"cannot read .*nothing: there is no such file"):
        reader(tmp_path / "nothing", "thing")
    with pytest.raises(UserError, match="it is a directory; move it away"):
        reader(tmp_path, "thing")
    monkeypatch.setattr(artifacts, "FORMAT", artifacts.FORMAT + 1)
    with pytest.raises(
        UserError, match=r"x has format version 1, this program reads version 2: make it again$"
    ):
        reader(path, "thing")


@pytest.mark.parametrize(
    "envelope",
    [
        [],
        "text",
        {},
        {"kind": "thing"},
        {"kind": "thing", "format": 1},
        {"kind": "thing", "format": 1, "header": "{}"},
    ],
)
def test_an_envelope_that_lacks_something_is_damage(tmp_path, envelope):
    blob = safetensors.numpy.save(ARRAYS, metadata={"workflow_src": json.dumps(envelope)})
    (tmp_path / "x").write_bytes(blob)
    with pytest.raises(DamagedFile):
        artifacts.read_arrays(tmp_path / "x", "thing")
