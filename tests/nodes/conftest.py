"""The nodes on ComfyUI's own modules, in this process."""

import shutil

import pytest
import torch
from diffusers import UNet2DConditionModel
from finesse.benchmarks import parity
from finesse.core import files
from finesse.miniature.model import networks
from finesse.tests.miniature.comfy.test_loaders import UNET_SHAPES, unet
from finesse.tests.nodes.factors.factor_chains import DRAWN, texts, write_chain_factor
from finesse.tests.nodes.factors.small_factors import write
from finesse.tests.nodes.families import family
from finesse.tests.nodes.maps.running import CUSTOM, run
from finesse.tests.nodes.stand_ins import BOX, SETTINGS, PoolingVAE, cond


@pytest.fixture(scope="session")
def comfy():
    """ComfyUI's own modules can be imported."""
    parity.import_comfyui()
    yield
    family.cache_clear()  # while what their patchers need to go away is still there


@pytest.fixture(scope="session")
def inpaint_box(comfy):
    from finesse.nodes.small_objects.inpaint_box import InpaintSmallBox

    return InpaintSmallBox


@pytest.fixture(scope="session")
def composite(comfy):
    """Composite Box: the picture it gives."""
    from finesse.nodes.small_objects.composite_box import CompositeBox

    def run(original, edited, region, feather, colour_match):
        return CompositeBox.execute(edited, original, region, feather, colour_match).args[0]

    return run


@pytest.fixture
def inpaint(inpaint_box):
    def run(image, box=BOX, vae=None, positive=None, negative=None, **inputs):
        prompts = {"positive": positive or cond(), "negative": negative or cond()}
        output = inpaint_box.execute(image, vae or PoolingVAE(), box, **{**prompts, **SETTINGS, **inputs})
        return output.args

    return run


@pytest.fixture
def edit_with(inpaint):
    """Inpaint Small Box with a family's model, VAE and texts."""

    def run(made, image, box, **inputs):
        given = {"vae": made.vae, "positive": made.text(1), "negative": made.text(2), "model": made.model}
        return inpaint(image, box, **{**given, **inputs})

    return run


@pytest.fixture(scope="session")
def factor_control():
    parity.import_comfyui()
    from finesse.nodes.factors import control as factor_control

    return factor_control


@pytest.fixture(scope="session")
def model(factor_control):
    """The miniature's UNet in ComfyUI."""
    from finesse.miniature.comfy import diffusers_folder

    return diffusers_folder.load_unet(networks.WEIGHTS)


@pytest.fixture(scope="session")
def shaped(factor_control, tmp_path_factory):
    """Tiny UNets of the big models' shapes, in ComfyUI and in diffusers."""
    from finesse.miniature.comfy import diffusers_folder

    made = {}
    for name in ("sd15", "sdxl"):
        folder = tmp_path_factory.mktemp("shapes") / name
        shutil.copytree(networks.WEIGHTS, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        theirs = unet(**UNET_SHAPES[name]).eval().requires_grad_(False)
        networks.save(theirs, folder / "unet")
        stored, _ = files.read_tensors(folder / "unet" / "diffusion_pytorch_model.safetensors")
        theirs.load_state_dict({key: tensor.float() for key, tensor in stored.items()})
        made[name] = diffusers_folder.load_unet(folder), theirs
    return made


@pytest.fixture
def made(factor_control, tmp_path):
    """A factor in ComfyUI's hands, and the same one in plain torch."""

    def make(**settings):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        plain = write(path, **settings)
        return factor_control.load_factor(path), plain

    return make


@pytest.fixture
def controlled(factor_control):
    """Conditioning with a factor on it."""

    def put(conditioning, factor, parents=(), strength=1.0, start=0.0, end=1.0, cache=None):
        cache = {} if cache is None else cache
        return factor_control.controlled(conditioning, factor, strength, start, end, parents, cache)

    return put


@pytest.fixture
def ready(factor_control, model):
    """A control as a sampler has it after its start."""

    def make(factor, parents=(), base=model.model, strength=1.0, span=(0.0, 1.0), previous=None):
        control = factor_control.FactorControl(factor, parents).set_cond_hint(None, strength, span)
        control.set_previous_controlnet(previous)
        control.pre_run(base, base.model_sampling.percent_to_sigma)
        return control

    return make


@pytest.fixture(scope="session")
def vae(factor_control):
    """The miniature's VAE in ComfyUI."""
    from finesse.miniature.comfy import diffusers_folder

    return diffusers_folder.load_vae(networks.WEIGHTS)


@pytest.fixture(scope="session")
def factors(factor_control, tmp_path_factory):
    """Factors of a chain in ComfyUI's hands, by condition."""
    folder, loaded = tmp_path_factory.mktemp("factors"), {}

    def load(condition, **settings):
        key = (condition, *sorted(settings.items()))
        if key not in loaded:
            path = folder / f"{len(loaded)}.safetensors"
            write_chain_factor(path, condition, **settings)
            loaded[key] = factor_control.load_factor(path)
        return loaded[key]

    return load


@pytest.fixture
def draw(model, vae):
    """Sample Condition Maps on the miniature."""
    from finesse.nodes.factors.sample_maps import SampleConditionMaps

    def run_node(chain, **inputs):
        inputs = {"model": model, "vae": vae, "chain": chain, **texts(), **DRAWN, **inputs}
        return run(SampleConditionMaps, **inputs)

    return run_node


@pytest.fixture
def chained(factors):
    """A chain of conditions; for each the inputs of its Chain Factor may be given by its name."""
    from finesse.nodes.factors.chain import ChainFactor

    def make(*conditions, **inputs):
        chain = ()
        for name in conditions:
            given = {"factor": factors(name), "chain": chain, **inputs.get(name, {})}
            chain = run(ChainFactor, **given).chain
        return chain

    return make


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    networks.random(folder)
    return folder


@pytest.fixture(scope="module")
def trainable_model(factor_control, random_weights):
    """A random miniature, loaded as ComfyUI's executor runs its loaders: in inference mode."""
    from finesse.miniature.comfy import diffusers_folder

    with torch.inference_mode():
        model = diffusers_folder.load_unet(random_weights)
    assert next(model.model.diffusion_model.parameters()).is_inference()
    return model


@pytest.fixture
def theirs(random_weights):
    """diffusers' UNet of the same weights, which may be trained."""
    unet = UNet2DConditionModel.from_pretrained(random_weights / "unet").float().eval()
    return unet.requires_grad_(True)


@pytest.fixture
def trainable(trainable_model):
    from finesse.nodes.layers.model_denoiser import TrainableModel

    return lambda model=trainable_model, *inputs, **settings: TrainableModel(model, *inputs, **settings)


@pytest.fixture(scope="module")
def select(tmp_path_factory, comfy):
    """Select Seed by Recall on maps in the custom palette; its pictures go to a folder of its own."""
    import folder_paths
    from finesse.nodes.maps.select_seed import SelectSeedByRecall

    before = folder_paths.get_temp_directory()
    folder_paths.set_temp_directory(str(tmp_path_factory.mktemp("previews")))
    yield lambda maps, objects="dog, cat", **inputs: run(
        SelectSeedByRecall, maps=maps, objects=objects, **{**CUSTOM, **inputs}
    )
    folder_paths.set_temp_directory(before)
