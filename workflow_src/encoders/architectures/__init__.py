"""Network architectures: one file for each, named after its kind, and nothing else."""
