"""Puts the workflow's files, which lie beside the packages, into the wheel."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PATTERNS = (
    "Snakefile",
    "rules/*.smk",
    "profiles/*/config.yaml",
    "environment.yml",
    "requirements.lock",
    "reference/**/*",
    "docs/methods/*.md",
)


class BuildWithWorkflow(build_py):
    """In a wheel, the checkout's files are in ``workflow_src/workflow``; see `checkout.folder`."""

    def run(self) -> None:
        """Build the packages, and copy the files unless the checkout itself is installed."""
        super().run()
        if not self.editable_mode:
            for source, target in self._workflow().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files that are built."""
        return [*super().get_outputs(include_bytecode), *self._workflow().values()]

    def get_source_files(self) -> list[str]:
        """All files that go into a source distribution."""
        return [*super().get_source_files(), *self._workflow()]

    def _workflow(self) -> dict[str, str]:
        files = [file for one in PATTERNS for file in sorted(ROOT.glob(one)) if file.is_file()]
        found = [file.relative_to(ROOT) for file in files]
        folder = Path(self.build_lib, "workflow_src", "workflow")
        return {str(file): str(folder / file) for file in found}


setup(cmdclass={"build_py": BuildWithWorkflow})
