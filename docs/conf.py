"""The documentation site: `make docs` builds it into site/, without a network.

The pages are Markdown, most of them in this folder. The rest is written into generated/ before
each build: the README, CONTRIBUTING, CHANGELOG and SECURITY of the root, every setting, every
command, and the reference of every module, made from the docstrings.
"""

import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import pydantic
from docutils import nodes
from sphinx.application import Sphinx

import workflow_src
from workflow_src.cli.main import cli
from workflow_src.config.run import Config

PACKAGE = Path(workflow_src.__file__).parent

project = "AtariARI"
version = release = workflow_src.__version__
author = "The AtariARI workflow developers"
project_copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["pictures"]
myst_heading_anchors = 3

# Single backticks in docstrings name things, which become links; double ones are literal text.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "model_config",
}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"AtariARI {release}"
html_copy_source = False
html_show_search_summary = False  # a page opened as a file cannot fetch the others
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Write the generated pages before the build, and link names without their modules."""
    app.connect("builder-inited", lambda app: _generate(Path(app.srcdir)))
    app.connect(
        "autodoc-process-bases", lambda app, name, thing, options, bases: _name_bases(bases)
    )
    app.connect("missing-reference", _by_last_name)


def _generate(docs: Path) -> None:
    """Write generated/ again; a page with the same text keeps its time, and is not rebuilt."""
    pages = {
        **{
            f"{name.lower()}.md": _of_the_root(docs.parent, name)
            for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")
        },
        "settings.md": _settings(),
        "commands.md": _commands(),
        **{f"modules/{room}.rst": _room(room) for room in _rooms()},
    }
    target = docs / "generated"
    for file in [*target.rglob("*.md"), *target.rglob("*.rst")]:
        if str(file.relative_to(target)) not in pages:
            file.unlink()
    for name, text in pages.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)


def _of_the_root(root: Path, name: str) -> str:
    """A page of the repository's root, with links as they are from docs/generated/."""
    text = (root / f"{name}.md").read_text()
    text = re.sub(r"\]\(docs/", "](../", text)
    text = re.sub(
        r"\]\((README|CONTRIBUTING|CHANGELOG|SECURITY)\.md", lambda m: f"]({m[1].lower()}.md", text
    )
    # The table of pictures is HTML, whose images Sphinx does not see: as Markdown instead.
    picture = re.compile(r'<img src="docs/(\S+)" width="(\d+)" alt="([^"]+)">')
    images = [
        f"```{{image}} ../{m[1]}\n:width: {m[2]}px\n:alt: {m[3]}\n```\n"
        for m in picture.finditer(text)
    ]
    return re.sub(r"<table>.*?</table>", lambda _: "\n".join(images), text, flags=re.DOTALL)


def _settings() -> str:
    """Every key of config.yaml, from the models that check it."""
    text = (
        "# Settings\n\nEvery key of `config.yaml`. `NAME` stands for a name of your choice. "
        "A key that says *required* has no default.\n\n"
        "| key | type | default | meaning |\n|---|---|---|---|\n"
    )
    for key, field in _fields(Config, ""):
        default = (
            "*required*"
            if field.is_required()
            else f"`{field.get_default(call_default_factory=True)}`"
        )
        default = "" if default == "`None`" else default
        text += f"| `{key}` | {_type(field.annotation)} | {default} | {field.description or ''} |\n"
    return text


def _fields(
    model: type[pydantic.BaseModel], prefix: str
) -> Iterator[tuple[str, pydantic.fields.FieldInfo]]:
    """Yield the fields of a model that hold values by full key, nested ones in their place."""
    for name, field in model.model_fields.items():
        inner = [
            part
            for part in _parts(field.annotation)
            if inspect.isclass(part) and issubclass(part, pydantic.BaseModel)
        ]
        named = typing.get_origin(_bare(field.annotation)) is dict
        if inner:
            yield from _fields(inner[0], f"{prefix}{name}.{'NAME.' if named else ''}")
        else:
            yield f"{prefix}{name}", field


def _bare(annotation: object) -> object:
    """A type without `Annotated` around it."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _parts(annotation: object) -> list[object]:
    """All types that a type is built from, itself first."""
    annotation = _bare(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return [annotation]
    return [annotation, *(part for one in typing.get_args(annotation) for part in _parts(one))]


def _type(annotation: object) -> str:
    """A type in words."""
    annotation = _bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "mapping"
    if arguments:
        return " or ".join(_type(one) for one in arguments if one is not type(None))
    words = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    fallback = getattr(annotation, "__name__", str(annotation))
    return words.get(annotation, fallback)  # type: ignore[call-overload]


def _commands() -> str:
    """The help of every command."""
    program = click.Context(cli, info_name="python -m workflow_src", terminal_width=100)
    text = f"# Commands\n\n```text\n{cli.get_help(program)}\n```\n"
    for name in cli.list_commands(program):
        command = cli.get_command(program, name)
        assert command is not None
        help_text = command.get_help(click.Context(command, program, name, terminal_width=100))
        text += f"\n## {name}\n\n```text\n{help_text}\n```\n"
    return text


def _rooms() -> list[str]:
    """The packages and modules at the top of the package."""
    found = [p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__")]
    return sorted([*found, *(p.parent.name for p in PACKAGE.glob("*/__init__.py"))])


def _room(room: str) -> str:
    """The reference of a package or module, with a section for each module in it."""
    files = sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    modules = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    modules = sorted(
        module.removesuffix(".__init__") for module in modules if not module.endswith(".__main__")
    )
    text = f"{room}\n{'=' * len(room)}\n"
    for module in modules:
        if module != f"workflow_src.{room}":
            title = module.removeprefix("workflow_src.")
            text += f"\n{title}\n{'-' * len(title)}\n"
        text += f"\n.. automodule:: {module}\n"
    return text


def _name_bases(bases: list) -> None:
    """Leave out the base class that every class has."""
    if object in bases and len(bases) > 1:
        bases.remove(object)


def _by_last_name(app: Sphinx, env, node, contnode):
    """Link a name of a docstring that is given without its module, if it is unique."""
    if node.get("refdomain") != "py":
        return None
    target = node.get("reftarget", "")
    domain = env.domains.python_domain
    found = [
        (name, entry)
        for name, entry in domain.objects.items()
        if name.endswith(f".{target}") and not entry.aliased
    ]
    if len(found) != 1:
        return None
    (name, entry), inner = (
        found[0],
        nodes.literal(target, target) if node.get("reftype") == "obj" else contnode,
    )
    uri = app.builder.get_relative_uri(node["refdoc"], entry.docname)
    return nodes.reference(
        "", "", inner, internal=True, refuri=f"{uri}#{entry.node_id}", reftitle=name
    )
