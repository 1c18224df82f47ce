"""Where the workflow's own files are: Snakefile, rules, published numbers, the methods' pages."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder() -> Path:
    """The repository; in a package that was installed from a wheel, a folder of the package."""
    inside = _PACKAGE / "workflow"
    return inside if inside.is_dir() else _PACKAGE.parent
