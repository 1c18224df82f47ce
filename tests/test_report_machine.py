"""What the page says about versions and the machine."""

import subprocess

import numpy as np

from workflow_src.report.page import machine


def test_hardware_and_versions_are_told(monkeypatch):
    assert machine.package_versions()["numpy"] == np.__version__
    monkeypatch.setattr(machine, "PACKAGES", ("no-such-package",))
    assert [*machine.package_versions()][:1] == ["Python"]
    assert set(machine.package_versions()) <= {"Python", "Commit"}
    assert machine.hardware()["Processor"]


def test_gpus_are_named_where_there_are_any(monkeypatch, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho NVIDIA H200\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.hardware()["GPU"] == "NVIDIA H200"
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert machine.hardware()["GPU"] == "none"


def test_the_commit_is_that_of_the_code(monkeypatch, tmp_path):
    """Whatever else is committed or changed: the page of the same code has the same bytes."""

    def git(*command: str) -> None:
        own = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", tmp_path, *own, *command], check=True, capture_output=True)

    monkeypatch.setattr(machine.checkout, "folder", lambda: tmp_path)
    assert machine.commit() == ""
    git("init", "--quiet")
    (tmp_path / "Snakefile").write_text("")
    git("add", ".")
    git("commit", "--quiet", "--message", "code")
    first = machine.commit()
    assert len(first) >= 7
    (tmp_path / "config.yaml").write_text("")
    git("add", ".")
    git("commit", "--quiet", "--message", "settings")
    (tmp_path / "config.yaml").write_text("x")
    assert machine.commit() == first
    (tmp_path / "Snakefile").write_text("x")
    assert machine.commit() == f"{first}, changed"
