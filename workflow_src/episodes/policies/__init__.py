"""Who plays: one file for each kind of policy, named after its kind, and nothing else."""
