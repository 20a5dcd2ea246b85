"""The files of today's models, and where ComfyUI's own templates have them from."""

from __future__ import annotations

from dataclasses import dataclass

from .graph_builder import ModelFile

HUB = "https://huggingface.co"
FLUX_1 = f"{HUB}/Comfy-Org/flux1-dev/resolve/main/split_files"
KONTEXT = f"{HUB}/Comfy-Org/flux1-kontext-dev_ComfyUI/resolve/main/split_files"
FLUX_TEXTS = f"{HUB}/comfyanonymous/flux_text_encoders/resolve/main"
FLUX_2 = f"{HUB}/Comfy-Org/flux2-dev/resolve/main/split_files"
QWEN = f"{HUB}/Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files"
QWEN_EDIT = f"{HUB}/Comfy-Org/Qwen-Image-Edit_ComfyUI/resolve/main/split_files"
INSTANT_X = f"{HUB}/Comfy-Org/Qwen-Image-InstantX-ControlNets/resolve/main/split_files"
Z_IMAGE_FILES = f"{HUB}/Comfy-Org/z_image_turbo/resolve/main/split_files"


@dataclass(frozen=True)
class Files:
    """What is loaded for a model: a checkpoint that holds all, or its parts.

    label: what to call the model. clip_kind: the value of the CLIP loader's input `type`.
    """

    label: str
    checkpoint: ModelFile | None = None
    unet: ModelFile | None = None
    clips: tuple[ModelFile, ...] = ()
    clip_kind: str = ""
    vae: ModelFile | None = None


def _file(folder: str, url: str) -> ModelFile:
    return ModelFile(url.rsplit("/", 1)[1], folder, url)


_AE = _file("vae", f"{HUB}/Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/ae.safetensors")
_CLIP_L = _file("text_encoders", f"{FLUX_TEXTS}/clip_l.safetensors")
_QWEN_3 = _file("text_encoders", f"{Z_IMAGE_FILES}/text_encoders/qwen_3_4b.safetensors")
_QWEN_VL = _file("text_encoders", f"{QWEN}/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors")
_QWEN_VAE = _file("vae", f"{QWEN}/vae/qwen_image_vae.safetensors")

FLUX_FILL = Files(
    "FLUX.1 Fill",
    unet=_file("diffusion_models", f"{FLUX_1}/diffusion_models/flux1-fill-dev.safetensors"),
    clips=(_CLIP_L, _file("text_encoders", f"{FLUX_TEXTS}/t5xxl_fp16.safetensors")),
    clip_kind="flux",
    vae=_AE,
)
FLUX_KONTEXT = Files(
    "FLUX.1 Kontext",
    unet=_file("diffusion_models", f"{KONTEXT}/diffusion_models/flux1-dev-kontext_fp8_scaled.safetensors"),
    clips=(_CLIP_L, _file("text_encoders", f"{FLUX_TEXTS}/t5xxl_fp8_e4m3fn_scaled.safetensors")),
    clip_kind="flux",
    vae=_AE,
)
FLUX2_KLEIN = Files(
    "FLUX.2 Klein 4B",
    unet=_file(
        "diffusion_models",
        f"{HUB}/black-forest-labs/FLUX.2-klein-4b-fp8/resolve/main/flux-2-klein-4b-fp8.safetensors",
    ),
    clips=(_QWEN_3,),
    clip_kind="flux2",
    vae=_file("vae", f"{FLUX_2}/vae/flux2-vae.safetensors"),
)
QWEN_IMAGE = Files(
    "Qwen-Image",
    unet=_file("diffusion_models", f"{QWEN}/diffusion_models/qwen_image_fp8_e4m3fn.safetensors"),
    clips=(_QWEN_VL,),
    clip_kind="qwen_image",
    vae=_QWEN_VAE,
)
QWEN_IMAGE_CONTROL = _file(
    "controlnet", f"{INSTANT_X}/controlnet/Qwen-Image-InstantX-ControlNet-Inpainting.safetensors"
)
QWEN_IMAGE_EDIT = Files(
    "Qwen-Image-Edit 2511",
    unet=_file("diffusion_models", f"{QWEN_EDIT}/diffusion_models/qwen_image_edit_2511_fp8mixed.safetensors"),
    clips=(_QWEN_VL,),
    clip_kind="qwen_image",
    vae=_QWEN_VAE,
)
Z_IMAGE = Files(
    "Z-Image Turbo",
    unet=_file("diffusion_models", f"{Z_IMAGE_FILES}/diffusion_models/z_image_turbo_bf16.safetensors"),
    clips=(_QWEN_3,),
    clip_kind="lumina2",
    vae=_file("vae", f"{Z_IMAGE_FILES}/vae/ae.safetensors"),
)
# ComfyUI's templates have the first version, which reads no mask; this one does
Z_IMAGE_CONTROL = _file(
    "model_patches",
    f"{HUB}/alibaba-pai/Z-Image-Turbo-Fun-Controlnet-Union-2.1/resolve/main/"
    "Z-Image-Turbo-Fun-Controlnet-Union-2.1-2602-8steps.safetensors",
)
SD35 = Files(
    "Stable Diffusion 3.5",
    checkpoint=_file(
        "checkpoints",
        f"{HUB}/Comfy-Org/stable-diffusion-3.5-fp8/resolve/main/sd3.5_large_fp8_scaled.safetensors",
    ),
)
SDXL_INPAINTING = Files(
    "SDXL inpainting",
    checkpoint=_file(
        "checkpoints",
        f"{HUB}/wangqyqq/sd_xl_base_1.0_inpainting_0.1.safetensors/resolve/main/"
        "sd_xl_base_1.0_inpainting_0.1.safetensors",
    ),
)
