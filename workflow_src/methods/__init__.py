"""One file for each learning objective, named after its kind, and nothing else."""
