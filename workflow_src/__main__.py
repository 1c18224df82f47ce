"""``python -m workflow_src``."""

from workflow_src.cli.main import main

if __name__ == "__main__":
    main()
