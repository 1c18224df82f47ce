"""The bridge between Snakemake, which makes, and DVC, which remembers (docs/versioning.md). Only this room imports either."""
