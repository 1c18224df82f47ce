"""Learners, one kind a file."""
