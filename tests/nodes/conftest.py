"""The nodes on ComfyUI's own modules, in this process."""

import pytest
from finesse.benchmarks import parity
from finesse.tests.nodes.stand_ins import BOX, SETTINGS, PoolingVAE, cond


@pytest.fixture(scope="session")
def small_object():
    parity.import_comfyui()
    from finesse.nodes import small_object

    return small_object


@pytest.fixture
def inpaint(small_object):
    def run(image, box=BOX, vae=None, positive=None, **inputs):
        output = small_object.InpaintSmallBox.execute(
            image, positive or cond(), cond(), vae or PoolingVAE(), box, **{**SETTINGS, **inputs}
        )
        return output.args

    return run
