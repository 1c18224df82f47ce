"""Agents that learn to play, and the evaluation of what they learned."""
