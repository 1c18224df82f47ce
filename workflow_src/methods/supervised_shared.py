"""Supervised-shared: `supervised` with one encoder for all variables. Not in the paper."""

from workflow_src.encoders.classifier import SharedClassifier
from workflow_src.methods.supervised import Supervised
from workflow_src.training.objective import method

LEARNS_FROM = "probe"
PROBE = "supervised"
SHARED_ENCODER = True


@method("supervised-shared")
class SupervisedShared(Supervised):
    """One encoder and a linear classifier for each of the named variables."""

    classifier = SharedClassifier
