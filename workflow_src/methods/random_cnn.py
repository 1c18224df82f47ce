"""Random-CNN: the encoder as it is initialised, never trained (arXiv 1906.08226, section 5.1)."""

from workflow_src.training.objective import Objective, method

LEARNS_FROM = None


@method("random-cnn")
class RandomCNN(Objective):
    """An encoder with orthogonal random weights."""
