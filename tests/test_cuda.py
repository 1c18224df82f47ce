"""What only a GPU can show: recorded kernels give what the plain ones do, and twice the same."""

import pytest
import torch

from speed import agents_gpu
from workflow_src import devices, graphs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def device():
    with devices.acquire("cuda", 1) as place:
        yield place


def test_a_recorded_function_gives_what_the_plain_one_does(device):
    def learn(x):
        loss = (layer(x) ** 2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    found = []
    for enabled in (False, True):
        torch.manual_seed(0)
        layer = torch.nn.Linear(8, 4).to(device)
        optimizer = torch.optim.Adam(layer.parameters(), fused=True, capturable=True)
        recorded = graphs.Recorded(learn, device, enabled)
        inputs = torch.randn(10, 16, 8, generator=torch.Generator().manual_seed(1)).to(device)
        found.append([recorded(x).item() for x in inputs])
    assert found[0] == found[1] and len(set(found[0])) == 10


@pytest.mark.parametrize("preset", ["dqn-adam", "nature", "c51-classic", "recurrent", "demo"])
def test_agents_learn_the_same_with_graphs_and_without(device, preset):
    runs = [agents_gpu.learned(preset, device, 256, graphs) for graphs in (True, True, False)]
    assert len({run["sha256"] for run in runs}) == 1
