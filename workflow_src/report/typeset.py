"""Running LaTeX: which program there is, and one line where there is none or where it fails.

The same sources give the same bytes, wherever they lie: no date, no path and no identifier of the
run is in the PDF. Nothing is executed by a document (no shell escape), and a user's own latexmkrc
is not read.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from workflow_src.errors import UserError

INSTALL = "install texlive-latex-recommended and latexmk (Debian), or tectonic (conda)"
# Seconds: a paper takes ten; tectonic downloads its packages the first time.
TIMEOUT = 600
_LATEXMK = [
    "latexmk",
    "-norc",
    "-pdf",
    "-interaction=nonstopmode",
    "-halt-on-error",
    "-latexoption=-no-shell-escape",
]
_TECTONIC = ["tectonic", "--untrusted", "--keep-logs"]


def program() -> list[str]:
    """The command that makes a PDF of the file named after it; `UserError` where LaTeX is missing."""
    if shutil.which("latexmk") and shutil.which("pdflatex"):
        return _LATEXMK
    if shutil.which("tectonic"):
        return _TECTONIC
    raise UserError(f"the paper needs LaTeX, which is not here: {INSTALL}")


def compile(source: Path, keep: Path) -> str:
    """Make a PDF beside ``source`` (.tex); LaTeX's log as text.

    Where LaTeX fails its log is kept as ``keep``; `UserError` with LaTeX's first error, or the
    package that it lacks.
    """
    command = program()
    # Nothing of the user's own is read, so that the bytes depend on the sources alone.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TEX", "BIBINPUTS"))
    } | {
        **{name: str(source.parent / "texmf") for name in ("TEXMFHOME", "TEXMFCONFIG", "TEXMFVAR")},
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
        "TZ": "UTC",
        "LC_ALL": "C",
        "max_print_line": "1000",  # lines of the log are not broken
    }
    options = {
        "cwd": source.parent,
        "env": environment,
        "stdin": subprocess.DEVNULL,
        "timeout": TIMEOUT,
    }
    try:
        done = subprocess.run(
            [*command, source.name], capture_output=True, text=True, errors="replace", **options
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{command[0]} did not end within {TIMEOUT} s: see whether another LaTeX is at work"
        ) from error
    log = source.with_suffix(".log")
    said = log.read_text(errors="replace") if log.exists() else done.stdout + done.stderr
    if done.returncode == 0 and source.with_suffix(".pdf").exists():
        keep.unlink(missing_ok=True)
        return said
    lacking = re.search(r"File [`']([^']+)' not found", said)
    if lacking and lacking[1].endswith((".sty", ".cls", ".def", ".fd")):
        raise UserError(f"LaTeX is here, but lacks {lacking[1]}: {INSTALL}")
    keep.parent.mkdir(parents=True, exist_ok=True)
    keep.write_text(said)
    lines = [line for line in said.splitlines() if line.startswith(("! ", "error:"))]
    lines = lines or [line for line in (done.stderr or said).splitlines() if line.strip()][-1:]
    raise UserError(
        f"LaTeX fails: {lines[0] if lines else 'without a word'} (its log is kept as {keep})"
    )


def overfull(log: str) -> list[float]:
    """Points by which lines stand out of their boxes, from LaTeX's log."""
    return [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
