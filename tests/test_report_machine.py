"""What the page says about versions and the machine."""

import numpy as np

from workflow_src.report.page import machine


def test_hardware_and_versions_are_told(monkeypatch):
    assert machine.package_versions()["numpy"] == np.__version__
    monkeypatch.setattr(machine, "PACKAGES", ("no-such-package",))
    assert list(machine.package_versions()) == ["Python"]
    assert machine.hardware()["Processor"]


def test_gpus_are_named_where_there_are_any(monkeypatch, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho NVIDIA H200\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.hardware()["GPU"] == "NVIDIA H200"
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert machine.hardware()["GPU"] == "none"
