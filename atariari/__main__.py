"""The console script ``atariari``, and ``python -m atariari``."""

import sys


def main() -> None:
    """Run the command line; without its libraries, say in one line how to install them."""
    try:
        from workflow_src.cli.main import main as run
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"error: {error.name} is not installed; the command line needs more than the wrapper: "
            "pip install 'atariari[probe]', or 'atariari[workflow]' for all of it\n"
        )
        sys.exit(2)
    run(prog_name="atariari")


if __name__ == "__main__":
    main()
