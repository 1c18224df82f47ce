"""The digest of code: an edit that changes nothing leaves it, any other changes it for those that
import the line.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workflow import ROOT

from workflow_src import provenance

TEXT = '''"""A module."""
import os


def f(x: int = 1, *, y=None) -> str:
    """What it does."""
    # Why.
    return f"{x:>{y}}" "and" f" {os.sep!r}"


class C:
    """A class."""

    a, b = (1, 2.5e-4)
'''


@pytest.mark.parametrize(
    "old, new",
    [
        ('"""A module."""', '"""Another sentence, longer than before."""'),
        ('"""What it does."""\n', "\n"),
        ("# Why.", "# Because."),
        ("    # Why.\n", ""),
        ("a, b = (1, 2.5e-4)", "(a, b) = 1, 0.00025"),
        ('"and" f" {os.sep!r}"', "f'and {os.sep!r}'"),
        ("f(x: int = 1, *, y=None)", "f(\n    x: int = 1,\n    *,\n    y=None,\n)"),
        ("import os\n\n\n", "import os\n"),
        ('"""A class."""\n', '"""A class."""\n\n    "A text that nothing reads."\n'),
    ],
)
def test_an_edit_without_effect_leaves_the_digest(old, new):
    assert TEXT.count(old) == 1
    assert provenance.of_text(TEXT.replace(old, new)) == provenance.of_text(TEXT)


@pytest.mark.parametrize(
    "old, new",
    [
        ("x: int = 1", "x: int = 2"),
        ("x: int = 1", "x: int = 1.0"),
        ("x: int = 1", "x: int = True"),
        ("x: int = 1", "x: int"),
        ("*, y=None", "y=None"),
        ("y=None", "y=''"),
        ("-> str", "-> bytes"),
        ('"and"', '"or"'),
        ("!r}", "!s}"),
        (":>", ":<"),
        ("a, b =", "b, a ="),
        ("class C", "class D"),
        ("import os", "import sys as os"),
        ("import os", "from os import *"),
    ],
)
def test_an_edit_with_an_effect_changes_the_digest(old, new):
    assert TEXT.count(old) == 1
    assert provenance.of_text(TEXT.replace(old, new)) != provenance.of_text(TEXT)


def pythons():
    """Programs of the versions that the project supports, where there are any; pyenv's own names
    may be empty.
    """
    here, found = Path("~/.pyenv/versions").expanduser(), []
    for name in ("3.11", "3.12", "3.13"):
        programs = [*map(str, sorted(here.glob(f"{name}.*/bin/python"))), f"python{name}"]
        found += [p for p in programs if shutil.which(p) and "shims" not in shutil.which(p)][:1]
    return found


def test_all_versions_of_python_agree():
    """On every module of the package, and on what they parse differently."""
    odd = (
        "f'{a}' 'b' f'{c!r:{d}x}{{' f'{e=}' '' f''",
        "f'{x:}' f'{{{y:a}}}'",
        "'\U0001fae8\\u00e9\\ud800' u'kind'",
        "def f(a, /, *b: int, c=None, **d) -> None: ...",
        "class A(B, metaclass=C): x: int = -1e400; y = 1j, b'\\xff', ..., None",
        "with (open(a) as b, c): pass",
        "match x:\n    case {'a': [1, *_], **rest} if rest: pass",
        "try: pass\nexcept* ValueError: pass",
    )
    script = (
        "import json, runpy, sys\n"
        f"of_text = runpy.run_path({str(ROOT / 'workflow_src/provenance.py')!r})['of_text']\n"
        "print(json.dumps([of_text(text) for text in json.load(sys.stdin)]))"
    )
    texts = [*odd, *(f.read_text() for f in sorted((ROOT / "workflow_src").rglob("*.py")))]
    versions = pythons()
    if len(versions) < 2:
        pytest.skip("one version of Python here")
    said = {
        subprocess.run(
            [python, "-W", "ignore", "-c", script],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for python in versions
    }
    assert len(said) == 1
    assert json.loads(said.pop()) == [provenance.of_text(text) for text in texts]


def test_the_closure_is_of_imports_that_are_executed():
    found = provenance.closure("episodes.collect")
    assert {"workflow_src.episodes.store", "workflow_src.errors"} <= {*found}
    assert not [name for name in found if ".config" in name], "imported for type checkers only"
    assert provenance.closure("seeds") == ["workflow_src.seeds"]


# Edits of the sources

STEPS = {
    "episodes": ("episodes.collect",),
    "splits": ("splits.split",),
    "st-dim": ("training.job", "methods.st_dim", "encoders.architectures.nature"),
    "vae": ("training.job", "methods.vae", "encoders.architectures.impala"),
    "report": ("report.page.write", "layout"),
}
SCRIPT = f"""
import json
from workflow_src import provenance
print(json.dumps({{step: provenance.digest(*names) for step, names in {STEPS}.items()}}))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return shutil.copytree(
        ROOT / "workflow_src",
        tmp_path_factory.mktemp("sources") / "workflow_src",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def digests(sources):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=sources.parent,
        env=os.environ | {"PYTHONPATH": str(sources.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "module, line, steps",
    [
        ("errors.py", "# A comment.", set()),
        ("config/run.py", "'A text.'", set()),
        ("cli/steps.py", "CHANGED = 1", set()),
        ("methods/vae.py", "CHANGED = 1", {"vae"}),
        ("encoders/architectures/nature.py", "CHANGED = 1", {"st-dim"}),
        ("training/loop.py", "CHANGED = 1", {"st-dim", "vae"}),
        ("splits/duplicates.py", "CHANGED = 1", {"splits"}),
        ("report/page/cells.py", "CHANGED = 1", {"report"}),
        ("episodes/store.py", "CHANGED = 1", {*STEPS}),
    ],
)
def test_a_changed_line_concerns_those_that_import_it(sources, module, line, steps):
    """Of a training too: a checkpoint is resumed from as long as its code has the same digest."""
    before = digests(sources)
    file = sources / module
    original = file.read_text()
    try:
        file.write_text(f"{original}\n{line}\n")
        after = digests(sources)
    finally:
        file.write_text(original)
    assert {step for step in STEPS if before[step] != after[step]} == steps
