"""The worlds of agents, one kind a file."""
