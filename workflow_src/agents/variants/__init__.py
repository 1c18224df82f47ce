"""Variants of the DQN: each file is a difference to `agents.learners.dqn`."""
