"""The project's own promises: layers, pins in step, documents that are true, no leftovers in the
package.
"""

import ast
import hashlib
import importlib.metadata
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from snakemake.scheduling.job_scheduler import JobScheduler

from workflow_src import __version__, kinds
from workflow_src.config.run import Config
from workflow_src.training.objective import Objective, find

ROOT = Path(__file__).parent.parent
PACKAGE = [
    file for top in ("workflow_src", "atariari") for file in sorted((ROOT / top).rglob("*.py"))
]


def pins(file: str) -> dict[str, str]:
    """The versions that a lock pins."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / file).read_text(), re.MULTILINE))


BEYOND = yaml.safe_load((ROOT / "workflow_src" / "presets" / "beyond.yaml").read_text())["methods"]
LOCK, TEST_LOCK = pins("requirements.lock"), pins("requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_environment_is_the_locks():
    """`environment.yml` installs exactly the lock, on a Python that is promised."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    assert dict(line.split("==") for line in pip) == LOCK
    python = next(part for part in environment["dependencies"] if str(part).startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.split("=")[1])


def named(*lists: list[str]) -> set[str]:
    """The distributions of lists of requirements, the project itself apart."""
    found = {normal(re.split(r"[<>=\[]", line)[0]) for lines in lists for line in lines}
    return found - {"atariari"}


def test_the_locks_pin_all_that_the_project_names():
    run = named(PROJECT["dependencies"], EXTRAS["probe"], EXTRAS["workflow"])
    assert run <= set(map(normal, LOCK))
    assert LOCK["torch"] == "2.13.0"
    rest = named(*(EXTRAS[extra] for extra in EXTRAS if extra not in ("probe", "workflow")))
    assert rest <= set(map(normal, TEST_LOCK))
    assert not set(LOCK) & set(TEST_LOCK)


def test_a_run_installs_nothing_of_the_tests():
    """`make quick` takes requirements.lock alone: what pyproject.toml's workflow leads to."""
    needed, todo = set(), [normal("setuptools"), *named(PROJECT["dependencies"], EXTRAS["probe"])]
    todo += named(EXTRAS["workflow"])
    while todo:
        if (name := todo.pop()) not in needed:
            needed.add(name)
            todo += [
                normal(line.name)
                for line in map(Requirement, importlib.metadata.requires(name) or [])
                if normal(line.name) in map(normal, LOCK)
            ]
    assert set(map(normal, LOCK)) == needed
    assert not {"pytest", "playwright", "moto", "sphinx"} & needed


def test_the_environment_that_runs_is_the_locks():
    from importlib.metadata import version

    both = LOCK | TEST_LOCK
    assert {name: version(name).removesuffix("+cpu") for name in both} == both


def imports(files: list[Path]) -> set[str]:
    """The distributions that files import, the standard library and the package itself apart."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    names = {
        "cv2": "opencv-python-headless",
        "yaml": "pyyaml",
        "ale_py": "ale-py",
        "sklearn": "scikit-learn",
        "PIL": "pillow",
    }
    return {
        normal(names.get(name, name))
        for name in found - set(sys.stdlib_module_names) - {"workflow_src", "atariari"}
    }


def test_every_import_is_declared():
    """What the packages import is in pyproject.toml, not only there by way of another package:
    Snakemake and DVC, tables and figures are extras, and the wrapper needs neither.
    """
    alone, probe = named(PROJECT["dependencies"]), named(EXTRAS["probe"])
    workflow = named(EXTRAS["workflow"])
    assert EXTRAS["movies"] == ["av>=14"] and EXTRAS["parquet"] == ["pyarrow>=17"]
    third = imports(PACKAGE) - {"av", "pyarrow"}
    assert alone | probe <= third <= alone | probe | workflow
    assert {"snakemake", "dvc"} <= imports([f for f in PACKAGE if f.parent.name == "versioning"])
    assert imports(sorted((ROOT / "workflow_src/ari").glob("*.py"))) <= alone
    rooms = ("agents", "audit", "emulator", "encoders", "episodes", "methods", "probes", "splits")
    within = [f for f in PACKAGE if f.relative_to(ROOT).parts[1] in rooms]
    within += [ROOT / "workflow_src/benchmark.py", *sorted((ROOT / "workflow_src/cli").glob("*"))]
    assert imports([f for f in within if f.suffix == ".py"]) <= alone | probe | {
        "pyarrow",
        "requests",
    }


def test_imports_only_go_down():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


def test_the_floor_plan_is_that_of_the_package():
    """CONTRIBUTING.md has every room, on the floor that the import contract gives it."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    floors = {
        room: int(floor)
        for floor, cell in re.findall(r"^\| (\d) \| (.+?) \|", text, re.MULTILINE)
        for room in re.findall(r"`(\w+)`", cell)
    }
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in contract["contracts"] if one["type"] == "layers")
    given = {
        room: floor
        for floor, layer in enumerate(reversed(layers), 1)
        for room in re.findall(r"workflow_src\.(\w+)", layer)
    }
    assert {room: floors.get(room) for room in given} == given
    rooms = {file.stem for file in (ROOT / "workflow_src").glob("*.py")}
    rooms |= {file.parent.name for file in (ROOT / "workflow_src").glob("*/__init__.py")}
    assert {room for room in rooms if not room.startswith("__")} <= set(given)


@pytest.mark.parametrize("kind", [kind for kind in kinds.names("methods") if kind != "majority"])
def test_registry_configuration_and_documents_agree(kind):
    known = {row.kind for row in Config.load(ROOT / "config.yaml").methods.values()}
    known |= {row["kind"] for row in BEYOND.values()}
    assert issubclass(find(kind), Objective)
    # An encoder or an agent of one's own is nobody else's row.
    assert kind in {"custom", "agent", *known}, (
        f"no row of config.yaml or of the preset beyond is a {kind}"
    )
    assert (ROOT / "docs" / "methods" / f"{kind}.md").is_file(), (
        f"docs/methods/{kind}.md is missing"
    )


def test_ci_calls_the_readmes_test_command():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "make quick" in readme and "make test" in readme
    assert ci.strip().splitlines()[-1] == "exec make test"


def test_plain_commands_of_the_readme_are_those_of_make():
    """Every command that make runs for `quick` and `test` stands in the README too."""
    readme = (ROOT / "README.md").read_text()
    for command in (
        "pip install --requirement requirements.lock",
        "--requirement requirements-test.lock",
        "pip install --no-deps --no-build-isolation --editable .",
        "python -m workflow_src configure --preset quick --into runs/quick",
        "snakemake --directory runs/quick --cores all --resources gpu=1",
        "python -m workflow_src show runs/quick",
        "ruff check .",
        "ruff format --check .",
        "lint-imports",
        "pytest -n auto --dist loadfile",
    ):
        assert command in readme, command


@pytest.fixture
def make(tmp_path):
    """The lines that make would run for a target, as words of the shell."""
    for file in ("Makefile", "pyproject.toml", "setup.py", *map(str, ROOT.glob("*.lock"))):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".venv").mkdir()
    for name in ("installed", "tests-installed"):
        (tmp_path / ".venv" / name).touch()

    def lines(*arguments: str) -> list[list[str]]:
        # `make test` runs this test too: without what a make tells those that it starts.
        apart = {key: value for key, value in os.environ.items() if "MAKE" not in key}
        done = subprocess.run(
            ["make", "-n", *arguments],
            cwd=tmp_path,
            env=apart,
            capture_output=True,
            text=True,
            check=True,
        )
        return [shlex.split(line) for line in done.stdout.splitlines()]

    return lines


@pytest.mark.parametrize("into", ["runs/my run", 'runs/it\'s "mine"'])
def test_make_passes_paths_on_whole(make, into):
    configured, made, shown = make("run", "PRESET=quick", f"INTO={into}", "GAMES=boxing pong")
    assert configured[configured.index("--into") + 1] == into
    assert configured[configured.index("--games") + 1] == "boxing pong"
    assert made[made.index("--directory") + 1] == into
    assert shown[-1] == into
    for target in ("record", "adopt", "verify"):
        (line,) = make(target, f"RUN={into}")
        assert line[line.index("--run") + 1] == into


def test_check_is_test_without_the_slow_tests(make):
    check, test = make("check"), make("test")
    assert check[:-1] == test[:-1]
    assert check[-1] == [*test[-1], "-m", "not slow"]


def test_hooks_run_the_programs_of_make_check(make):
    """Before a commit: the same programs, without the tests, and nothing that is downloaded."""
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = repository["hooks"]
    assert repository["repo"] == "local" and {hook["language"] for hook in hooks} == {"system"}
    programs = [Path(line[0]).name for line in make("check")[:-1]]
    assert programs == [hook["entry"].split()[0] for hook in hooks[: len(programs)]]


def test_config_is_written_in_one_place():
    """Every key that the README or the docs show in `code` as a dotted setting exists."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    text = "".join(
        file.read_text()
        for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        if "generated" not in file.parts
    )
    sections = "|".join(k for k, v in config.items() if isinstance(v, dict))
    for key in set(re.findall(rf"`((?:{sections})(?:\.[a-z0-9_-]+)+)`", text)):
        value = config
        for part in key.split("."):
            assert isinstance(value, dict) and part in value, (
                f"{key} stands in a document, not in config.yaml"
            )
            value = value[part]


def test_version_licence_and_citation_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "workflow_src.__version__"
    }
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    top = re.search(r"^## \[(\S+)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation["version"] == top[1] == __version__
    assert str(citation["date-released"]) == top[2]
    holder = citation["authors"][0]["name"]
    licence = (ROOT / "LICENSE").read_text()
    assert citation["license"] == project["project"]["license"] == "MIT" and licence.startswith(
        "MIT License\n"
    )
    assert f"Copyright (c) {top[2][:4]} {holder}\n" in licence
    assert project["project"]["authors"] == [{"name": holder}] and project["project"][
        "license-files"
    ] == ["LICENSE"]


def test_the_citation_has_what_its_format_asks_for():
    """The keys that version 1.2.0 of the format requires, and those that it knows."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    known = {
        "type",
        "version",
        "date-released",
        "license",
        "keywords",
        "references",
        "abstract",
        "url",
        "preferred-citation",
    }
    assert set(citation) <= {"cff-version", "message", "title", "authors"} | known
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper) and "1906.08226" in paper["url"]
    assert all(set(author) == {"family-names", "given-names"} for author in paper["authors"])


def test_the_changelog_keeps_its_format():
    text = (ROOT / "CHANGELOG.md").read_text()
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert (
        text.startswith("# Changelog\n")
        and set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= known
    )
    assert all(
        re.fullmatch(r"\[(Unreleased|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)\]?", one)
        for one in re.findall(r"^## (.+)$", text, re.M)
    )


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        *(
            str(file.relative_to(ROOT))
            for file in sorted((ROOT / "docs").rglob("*.md"))
            if "generated" not in file.parts  # what `make docs` wrote is not in the repository
        ),
    ],
)
def test_what_documents_point_to_is_there(document):
    text = (ROOT / document).read_text()
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'(?:src|href)="([^"#]+)', text)
    # Pages in docs/generated/ are written when the site is built.
    local = [one for one in found if "://" not in one and not one.startswith("generated/")]
    assert document != "README.md" or len(local) > 10
    assert [
        target for target in local if not (ROOT / document).parent.joinpath(target).exists()
    ] == []


def test_paths_in_the_documents_exist():
    """Files and folders that a document names in `code`, but for examples and what is made."""
    examples = {"my_method.py", "my_net.py", "my_policy.py", "my_probe.py", "my-method.md"}
    examples.add("latest.json")  # which `make bench` writes
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = {
        (file.name, path)
        for file in documents
        for path in re.findall(
            r"`((?:workflow_src|tests|speed|rules|docs|reference)/[\w./-]+)`", file.read_text()
        )
    }
    assert len(named) > 20
    missing = [
        (file, path)
        for file, path in named
        if Path(path).name not in examples and not (ROOT / path).exists()
    ]
    assert missing == []


def test_the_pins_install_on_every_python_that_is_promised():
    """Debian 12 has Python 3.11.2, and a pin of 2026 wanted 3.11.5."""
    both = [*LOCK, *TEST_LOCK]
    assert len(both) > 100
    wanted = {name: importlib.metadata.metadata(name).get("Requires-Python") for name in both}
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    late = {n: w for n, w in wanted.items() if w and not SpecifierSet(w).contains(oldest)}
    assert not late


def test_the_checksums_of_published_numbers_are_in_step():
    """After an edit: cd reference && sha256sum *.csv ours/*.csv > SHA256SUMS."""
    folder = ROOT / "reference"
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}"
        for file in [*sorted(folder.glob("*.csv")), *sorted(folder.glob("ours/*.csv"))]
    ]
    assert (folder / "SHA256SUMS").read_text().splitlines() == lines


def test_snakemake_has_the_limit_that_the_snakefile_lifts():
    source = inspect.getsource(JobScheduler)
    assert "if self.job_rate_limiter is not None:" in source
    assert "if self.job_rate_limiter is None:" in source  # lifting it is foreseen
    assert "workflow.scheduler.job_rate_limiter = None" in (ROOT / "Snakefile").read_text()
