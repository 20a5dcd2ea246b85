"""ComfyUI's MODEL as a trainable denoiser, against diffusers' UNet of its weights and core's own nodes."""

from __future__ import annotations

import pytest
import torch
from finesse.core import files
from finesse.tests.nodes.factors.small_factors import latents, prompts, sample
from finesse.tests.nodes.layers.trainable import (
    COND,
    T,
    X,
    comfy_names,
    in_comfyui,
    in_diffusers,
    loss_of,
    steps,
    weights_of,
)


@pytest.mark.parametrize("mode", [True, False])
def test_the_prediction_is_core_s_and_diffusers(trainable, trainable_model, theirs, mode):
    with torch.inference_mode(mode), trainable() as denoiser:
        found = denoiser(X, T, COND)
        assert found.dtype == torch.float32
        assert not torch.is_inference_mode_enabled()
    torch.testing.assert_close(found.detach(), in_comfyui(trainable_model), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.detach(), in_diffusers(theirs).detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("recompute", [True, False])
def test_the_gradient_of_the_conditioning_is_diffusers(trainable, theirs, recompute):
    expected = torch.nn.Parameter(COND.clone())
    loss_of(in_diffusers(theirs, expected)).backward()
    with torch.inference_mode():
        inputs = [tensor.clone() for tensor in (X, T)]  # as a node has them
        with trainable(recompute=recompute) as denoiser:
            found = torch.nn.Parameter(COND.clone())
            loss_of(denoiser(*inputs, found)).backward()
    scale = expected.grad.abs().max()
    assert scale > 0
    torch.testing.assert_close(found.grad / scale, expected.grad / scale, rtol=0, atol=1e-4)


def test_gradients_of_weights_are_diffusers_and_those_of_a_low_rank_follow(
    trainable, trainable_model, theirs
):
    from finesse.nodes.layers.model_mirror import matrices

    loss_of(in_diffusers(theirs)).backward()
    there, names = dict(theirs.named_parameters()), comfy_names(trainable_model)
    with torch.inference_mode(), trainable() as denoiser:
        parameters = denoiser.full_weights()
        assert len(parameters) == len(there)
        loss_of(denoiser(X, T, COND)).backward()
        full = {name: weight.grad for name, weight in denoiser._unet.named_parameters()}
        ours = dict(denoiser._unet.named_parameters())
        assert all(weight.dtype == torch.float32 for weight in ours.values())
    for name, gradient in full.items():
        expected = there[names[name]].grad
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5, msg=name)

    with torch.inference_mode(), trainable() as denoiser:
        factors = denoiser.add_low_rank(2, seed=0)
        loss_of(denoiser(X, T, COND)).backward()
        lora, layers = denoiser.lora(), [name for name, _ in matrices(denoiser._unet)]
    by_shape = iter(factors)
    for name in layers:
        pair = (next(by_shape), next(by_shape))
        up = next(factor for factor in pair if not factor.any())
        down = lora[f"diffusion_model.{name}.lora_down.weight"]
        expected = full[f"{name}.weight"].flatten(1) @ down.T  # the chain rule on W + up @ down
        torch.testing.assert_close(up.grad, expected, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", ["low rank", "full"])
def test_core_s_nodes_take_what_was_trained(trainable, trainable_model, tmp_path, monkeypatch, kind):
    import folder_paths
    from comfy_extras.nodes_train import LoraModelLoader, SaveLoRA

    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path))
    before = in_comfyui(trainable_model)
    with torch.inference_mode():
        with trainable() as denoiser:
            if kind == "full":
                trained = steps(denoiser, denoiser.full_weights(), lr=1e-3)
                result = denoiser.difference()
            else:
                trained = steps(denoiser, denoiser.add_low_rank(4, seed=0))
                result = denoiser.lora()
        (patched,) = LoraModelLoader.execute(trainable_model, result, 1.0).args
        SaveLoRA.execute(result, "loras/edit")
    assert (trained - before).abs().max() > 0.01
    matched = {name for name, tensor in trainable_model.model.diffusion_model.named_parameters()}
    if kind == "low rank":
        matched = {
            name for name in matched if trainable_model.model.diffusion_model.get_parameter(name).ndim > 1
        }
    assert patched.patches.keys() == {f"diffusion_model.{name}" for name in matched}
    torch.testing.assert_close(in_comfyui(patched), trained, rtol=0, atol=1e-4)
    (path,) = tmp_path.rglob("*.safetensors")
    stored, _ = files.read_tensors(path)
    assert all(torch.equal(stored[name], tensor) for name, tensor in result.items())
    assert torch.equal(in_comfyui(trainable_model), before)


class CutError(Exception):
    """What a body may raise."""


@pytest.mark.parametrize("kind", ["frozen", "low rank", "full", "raises", "interrupted"])
def test_the_model_is_left_as_it_was(trainable, trainable_model, kind):
    import comfy.model_management as management

    def pixels():
        with torch.inference_mode():
            return sample(trainable_model, latents(1, side=8), prompts(seed=2), cfg=3.0, steps=2)

    expected, weights = pixels(), weights_of(trainable_model)
    marks = [sorted(vars(part)) for part in trainable_model.model.modules()]
    state = torch.get_rng_state()
    denoiser = trainable()
    raised = {"raises": CutError, "interrupted": management.InterruptProcessingException}.get(kind)

    def body():
        with torch.inference_mode(), denoiser:
            parameters = [torch.nn.Parameter(COND.clone())]
            if kind in ("low rank", "raises"):
                parameters = denoiser.add_low_rank(2, seed=0)
            elif kind == "full":
                parameters = denoiser.full_weights()
            if kind == "interrupted":
                management.interrupt_current_processing()
            denoiser(X, T, parameters[0] if kind == "frozen" else COND).square().mean().backward()
            torch.optim.SGD(parameters, lr=1.0).step()
            if kind == "raises":
                raise CutError
            assert kind != "interrupted"

    if raised is None:
        body()
    else:
        with pytest.raises(raised):
            body()
        management.interrupt_current_processing(False)
    assert not torch.is_inference_mode_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert denoiser._unet is None
    assert [sorted(vars(part)) for part in trainable_model.model.modules()] == marks
    assert all(
        torch.equal(tensor, weights[name]) for name, tensor in trainable_model.model.state_dict().items()
    )
    assert all(part.grad is None for part in trainable_model.model.parameters())
    assert torch.equal(pixels(), expected)


def test_a_lora_and_a_patch_on_the_model_count(trainable, trainable_model):
    from comfy_extras.nodes_train import LoraModelLoader

    with trainable() as denoiser:
        steps(denoiser, denoiser.add_low_rank(2, seed=1))
        lora = denoiser.lora()
    plain = in_comfyui(trainable_model)
    for bypass in (False, True):
        (patched,) = LoraModelLoader.execute(trainable_model, lora, 0.7, bypass).args
        patched.set_model_attn2_output_patch(lambda out, options: out * 0.5)
        patched.set_model_input_block_patch(lambda h, options: h * (1.0 + 0.1 * options["block"][1]))
        expected = in_comfyui(patched)
        assert (expected - plain).abs().max() > 0.01
        with torch.inference_mode(), trainable(patched) as denoiser:
            cond = torch.nn.Parameter(COND.clone())
            found = denoiser(X, T, cond)
            loss_of(found).backward()
            again = torch.nn.Parameter(COND.clone())
        with torch.inference_mode(), trainable(patched, recompute=False) as denoiser:
            loss_of(denoiser(X, T, again)).backward()
        torch.testing.assert_close(found.detach(), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(cond.grad, again.grad, rtol=1e-4, atol=1e-7)
    assert torch.equal(in_comfyui(trainable_model), plain)


def test_attention_without_a_backward_pass_is_not_used(trainable, trainable_model):
    from comfy.patcher_extension import WrappersMP

    calls = []

    def without_gradient(chosen, *args, **kwargs):
        return chosen(*args, **kwargs).detach()

    def count(executor, *args, **kwargs):
        calls.append("unet")
        return executor(*args, **kwargs)

    model = trainable_model.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = without_gradient
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count)
    with trainable(model) as denoiser:
        cond = torch.nn.Parameter(COND.clone())
        denoiser(X, T, cond).square().mean().backward()
    assert cond.grad.abs().max() > 0
    assert calls == ["unet"]


def test_in_bfloat16_small_changes_are_still_learned(trainable, theirs):
    denoiser = trainable()
    denoiser.dtype = torch.bfloat16  # as on a GPU
    with torch.inference_mode(), denoiser:
        factors = denoiser.add_low_rank(4, seed=0)
        before = denoiser(X, T, COND).detach()
        with torch.no_grad():
            for factor in factors:
                factor[factor == 0] += 1e-4
        after = denoiser(X, T, COND)
        after.square().mean().backward()
    assert {factor.dtype for factor in factors} == {torch.float32}
    assert all(factor.grad.isfinite().all() for factor in factors)
    torch.testing.assert_close(before, in_diffusers(theirs).detach(), rtol=0, atol=0.05)
    assert not torch.equal(before, after)


def test_a_low_rank_starts_at_nothing_and_from_its_seed(trainable, trainable_model):
    found = {}
    for seed in (0, 0, 1):
        with torch.inference_mode(), trainable() as denoiser:
            plain = denoiser(X, T, COND)
            denoiser.add_low_rank(3, seed=seed)
            assert torch.equal(denoiser(X, T, COND), plain)
            found.setdefault(seed, []).append(denoiser.lora())
            with pytest.raises(ValueError, match="the model is being trained already"):
                denoiser.full_weights()
    (first, again), (other,) = found[0], found[1]
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    assert any(not torch.equal(other[name], tensor) for name, tensor in first.items())


def test_models_that_cannot_be_trained_are_refused(trainable, trainable_model, random_weights):
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete, ModelSamplingSD3
    from finesse.miniature.comfy import diffusers_folder

    for model in (
        ModelSamplingSD3().patch(trainable_model, 3.0)[0],
        ModelSamplingDiscrete().patch(trainable_model, "lcm", False)[0],
    ):
        with pytest.raises(ValueError, match="which cannot be trained here; link a Stable Diffusion"):
            trainable(model)
    model = diffusers_folder.load_unet(random_weights)
    model.model.diffusion_model.to(torch.float8_e4m3fn)
    with pytest.raises(ValueError, match="model has quantised weights; load it in fp16, bf16 or fp32"):
        trainable(model)
