"""How probes are fitted: ``probe`` and the switches of a protocol for probing."""

from typing import Annotated, Literal

from pydantic import Field

from workflow_src.config.section import Fraction, LearningRate, Positive, Section

ProbeKind = Literal["linear", "mlp", "observed", "logistic"]


class Logistic(Section):
    """scikit-learn's logistic regression on standardised features."""

    C: Annotated[float, Field(gt=0)] = Field(description="inverse strength of the L2 penalty")
    max_iter: Positive


class Probe(Section):
    """What is read out of frozen features, and how."""

    kinds: Annotated[list[ProbeKind], Field(min_length=1)] = Field(
        description="linear: the paper's; mlp: one hidden layer; observed: linear, of the classes seen in train; "
        "logistic: scikit-learn's; the first is the one of the tables"
    )
    hidden: Positive = Field(description="units of mlp's hidden layer")
    logistic: Logistic
    classes: Annotated[int, Field(ge=2, le=256)]
    epochs: Positive
    patience: Positive = Field(
        description="epochs without a better validation accuracy before a variable stops"
    )
    batch_size: Positive
    eps: Annotated[float, Field(gt=0)] = Field(description="of Adam")
    plateau_patience: Positive = Field(
        description="epochs without gain before a variable's learning rate falls"
    )
    plateau_factor: Fraction
    min_lr: Annotated[float, Field(gt=0)]
    threads: Positive


class ProbeProtocol(Section):
    """The quirks that concern probes."""

    keep: Literal["last", "best"] = Field(
        description="Q6: whose epoch's weights are kept, by variable"
    )
    sampling: Literal["replacement", "permutation"] = Field(
        description="Q7: as above, for train, val and test"
    )
    lr: LearningRate = Field(
        description="Q9: 3e-4 in the 2019 script, 5e-4 in its class and README, once 5e-2"
    )
