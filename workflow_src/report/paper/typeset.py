"""Run LaTeX: find a program, and end with one line where there is none or where it fails.

The same sources give the same bytes in any folder: the PDF holds no date, no path and no identifier
of the run. A document cannot run commands (no shell escape), and a user's latexmkrc is not read.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from workflow_src.errors import UserError

INSTALL = "install texlive-latex-recommended and latexmk (Debian), or tectonic (conda)"
# Seconds: a paper takes ten; tectonic downloads packages on its first run.
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
    """The command that makes a PDF of the file named after it; `UserError` if LaTeX is missing."""
    if shutil.which("latexmk") and shutil.which("pdflatex"):
        return _LATEXMK
    if shutil.which("tectonic"):
        return _TECTONIC
    raise UserError(f"the paper needs LaTeX, which is not installed: {INSTALL}")


def compile(source: Path, keep: Path) -> str:
    """Make a PDF next to ``source`` (.tex); return LaTeX's log.

    `UserError` if LaTeX fails, with its first error or the package that is missing; its log is then
    kept as ``keep``.
    """
    command = program()
    done = _run([*command, source.name], source.parent)
    log = source.with_suffix(".log")
    said = log.read_text(errors="replace") if log.exists() else done.stdout + done.stderr
    if done.returncode == 0 and source.with_suffix(".pdf").exists():
        keep.unlink(missing_ok=True)
        return said
    missing = re.search(r"File [`']([^']+)' not found", said)
    if missing and missing[1].endswith((".sty", ".cls", ".def", ".fd")):
        raise UserError(f"LaTeX is installed without {missing[1]}: {INSTALL}")
    keep.parent.mkdir(parents=True, exist_ok=True)
    keep.write_text(said)
    lines = [line for line in said.splitlines() if line.startswith(("! ", "error:"))]
    lines = lines or [line for line in (done.stderr or said).splitlines() if line.strip()][-1:]
    why = lines[0] if lines else "without a message"
    raise UserError(f"LaTeX fails: {why}: see its log, {keep}")


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run LaTeX in ``folder``; `UserError` if it does not end in time.

    No settings of the user are read, so that the bytes depend on the sources only.
    """
    own = ("TEX", "BIBINPUTS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    texmf = dict.fromkeys(("TEXMFHOME", "TEXMFCONFIG", "TEXMFVAR"), str(folder / "texmf"))
    fixed = {
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
        "TZ": "UTC",
        "LC_ALL": "C",
        "max_print_line": "1000",  # the log's lines are not broken
    }
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=kept | texmf | fixed,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{command[0]} did not end within {TIMEOUT} s: check whether another LaTeX is running"
        ) from error


def overfull(log: str) -> list[float]:
    """Points by which lines are too wide for their boxes, from LaTeX's log."""
    return [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
