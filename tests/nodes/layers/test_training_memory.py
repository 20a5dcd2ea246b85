"""The memory that training takes, as it is foretold, against what is kept and what cards have."""

from __future__ import annotations

import pytest
import torch
from finesse.tests.nodes.factors.small_factors import latents, prompts

SD15 = {
    **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "context_dim": 768},
    **{"num_res_blocks": [2, 2, 2, 2], "channel_mult": [1, 2, 4, 4], "num_heads": 8, "legacy": False},
    **{"transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1, "adm_in_channels": None},
    **{"transformer_depth_output": [1] * 9 + [0] * 3, "use_linear_in_transformer": False},
    **{"use_temporal_attention": False, "use_temporal_resblock": False, "use_spatial_transformer": True},
}


@pytest.fixture(scope="module")
def stable_diffusion(factor_control):
    """A MODEL with the shapes of Stable Diffusion 1.5 in float16, and no weights."""
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.SD15(dict(SD15))
    config.unet_config["dtype"] = torch.float16
    base = config.get_model({}, device=torch.device("meta"))
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(base, load_device=device, offload_device=device)


def test_stable_diffusion_fits_the_cards_it_should(stable_diffusion, measured):
    from finesse.nodes.layers.training_memory import training_memory

    # float32 activations, as a device without bfloat16 has them; two pictures of 512 pixels
    needed = {rank: training_memory(stable_diffusion, (2, 4, 64, 64), rank) / 2**30 for rank in (0, 16, None)}
    measured(f"training SD1.5 at 512 px: {needed[16]:.1f} GiB at rank 16, {needed[None]:.1f} in full")
    parameters = sum(weight.numel() for weight in stable_diffusion.model.diffusion_model.parameters())
    assert parameters == 859_520_964
    assert 1.6 < needed[0] < needed[16] < 8
    assert parameters * 16 / 2**30 < needed[None] < 16


@pytest.mark.parametrize("side", [16, 32])
def test_what_the_forward_pass_keeps_is_foretold(model, side):
    from finesse.nodes.layers.model_denoiser import TrainableModel
    from finesse.nodes.layers.training_memory import activation_memory

    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with TrainableModel(model) as denoiser:
        weights = {weight.untyped_storage().data_ptr() for weight in denoiser._unet.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            cond = torch.nn.Parameter(prompts()[0][0])
            loss = denoiser(latents(2, side), torch.tensor([5, 500]), cond).square().mean()
        found = sum(size for place, size in kept.items() if place not in weights)
        loss.backward()
    foretold = activation_memory(model.model.diffusion_model, (2, 4, side, side), 32, torch.float32)
    assert found < foretold < 6 * found


def test_it_grows_with_the_picture_the_batch_and_the_rank(model):
    from finesse.nodes.layers.training_memory import training_memory

    sizes = [(1, 4, 8, 8), (2, 4, 8, 8), (2, 4, 16, 16)]
    found = [training_memory(model, size, 4) for size in sizes]
    assert found == sorted(set(found))
    assert training_memory(model, sizes[0], 8) - training_memory(model, sizes[0], 4) == 16 * 4 * sum(
        len(weight) + weight[0].numel()
        for weight in model.model.diffusion_model.parameters()
        if weight.ndim > 1
    )


def test_too_much_is_refused_with_what_to_do(factor_control):
    from finesse.nodes.layers.training_memory import check_memory

    check_memory(2**20, torch.device("cpu"), "choose a lower rank.")
    message = r"training needs about 1048576\.0 GB and cpu can free [\d.]+ GB; choose a lower rank\."
    with pytest.raises(ValueError, match=message):
        check_memory(2**50, torch.device("cpu"), "choose a lower rank.")
