"""The bridge between Snakemake and DVC (docs/versioning.md); only this room imports them."""
