"""Tables and figures of agents: how they learned, and how well they play."""
