"""How well a run agrees with the published numbers, variable by variable."""
