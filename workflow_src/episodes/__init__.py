"""Collecting: policies that play, the frame store, and reading it by split."""
