"""Float operations of a training step: convolutions, linear maps and scores, both passes.

Counted by PyTorch as it would run the plain modules, on tensors without data; a multiplication with
its addition is two. Backward is twice forward, but no gradient of the frames is needed. What is
done only to save memory, such as making CPC's maps twice, is not counted: it is no use to anyone.
"""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from workflow_src import encoders
from workflow_src.config.methods import Method
from workflow_src.training import objective

FRAME = (210, 160)
# Frames an example has, where it is not a pair.
FRAMES = {"vae": 1, "dim": 1, "supervised": 1, "supervised-shared": 1, "jsd-st-dim": 3}


def per_example(row: Method, batch_size: int, supervision: dict) -> float:
    """GFLOP an example of a method: a frame, pair, triple or sequence."""
    if row.kind == "cpc":
        return cpc(row, batch_size)
    frames = FRAMES.get(row.kind, 2)
    model = objective.find(row.kind)(
        row, torch.Generator(), **supervision
    ).eval()  # in training a VAE draws noise
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counted:
        batch = torch.empty(batch_size, frames, row.frame_stack, *FRAME, dtype=torch.uint8)
        variables = len(supervision.get("variables", []))
        labels = (
            torch.zeros(batch_size, frames, variables, dtype=torch.int64) if variables else None
        )
        torch.stack(list(model(batch, labels).values())).sum().backward()
    return counted.get_total_flops() / batch_size / 1e9


def trunk(row: Method) -> float:
    """GFLOP a frame of the encoder alone."""
    encoder = encoders.build(row.encoder, row.feature_size, torch.Generator(), row.frame_stack)
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counted:
        encoder(torch.empty(1, row.frame_stack, *FRAME)).sum().backward()
    return counted.get_total_flops() / 1e9


def cpc(row: Method, batch_size: int) -> float:
    """GFLOP a sequence: encoding its frames, the GRU, predictions, scores with the whole batch."""
    options = row.resolved_options
    length, size, d = options["sequence_length"], options["gru_size"], row.feature_size
    horizons = range(1, length, options["horizon_step"])
    gru = sum(
        2 * 3 * size * (inputs + size) for inputs in [d, *[size] * (options["gru_layers"] - 1)]
    )
    predictions = 2 * size * d * len(horizons)
    scores = sum(2 * d * (length - k) ** 2 * batch_size for k in horizons)
    return length * trunk(row) + 3 * (length * (gru + predictions) + scores) / 1e9
