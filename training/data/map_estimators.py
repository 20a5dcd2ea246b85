"""Estimators make maps from the picture alone: depth by a model, normals from its slopes, and sketches.

The paper makes sketches with HED, for which there is no maintained library: its weights are a Caffe file of
2015. Here a sketch shows what HED was trained to find, edges that stand out at several scales, but needs no
weights. It uses colour gradients as in Di Zenzo (1986), thinned as in Canny (1986), but with soft brightness.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

from ...core.images import to_bytes

MODELS = ("DPTForDepthEstimation", "DepthAnythingForDepthEstimation")
STEEPNESS = 2 * math.pi  # ControlNet's `a`: the normal's component towards the viewer
BACKGROUND = 0.1  # ControlNet's `bg_th`: pixels that are farther away have no slope
NORMAL_SIDE = 384  # the side at which ControlNet takes slopes from pixel to pixel
SCALES = (1.0, 2.0, 4.0)  # blurs in pixels, at each of which a sketch looks for edges
FAINT, BRIGHT = 0.03, 0.2  # contrasts that are drawn black and white; black against white has 1
REACH = 2  # pixels to either side in which the crest of an edge is searched
SHARPNESS = 4  # the power that thins a line around its crest


class DepthModel:
    """A DPT or Depth-Anything model from a local folder. Nothing is ever downloaded.

    Only models of *relative* depth work, whose values are large where near. Raises ValueError if the folder
    is missing or holds another model.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        wanted = "give the folder of a DPT or Depth-Anything model, such as Intel/dpt-large"
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} has no config.json: {wanted}.")
        local = {"local_files_only": True}
        try:
            config = AutoConfig.from_pretrained(folder, **local)
            if not set(config.architectures or ()) & set(MODELS):
                raise ValueError(f"it is a {' '.join(config.architectures or [config.model_type])}")
            if (kind := getattr(config, "depth_estimation_type", "relative")) != "relative":
                raise ValueError(f"its depth is {kind}, not relative")
            model = AutoModelForDepthEstimation.from_pretrained(folder, use_safetensors=True, **local)
            self.processor = AutoImageProcessor.from_pretrained(folder, **local)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} cannot be used: {error}; {wanted}.") from error
        self.name, self.device, self.model = folder.resolve().name, device, model.to(device).eval()
        self.files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])

    def prepare(self, picture: Image.Image) -> Tensor:
        """A square picture of any size as pixels (3, side, side) on the CPU. Thread-safe."""
        return self.processor(picture, return_tensors="pt")["pixel_values"][0]

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, size: int) -> Tensor:
        """The nearness (B, size, size) of pixels (B, 3, side, side): in each picture 0 is far, 1 near."""
        found = self.model(pixel_values=pixels.to(self.device)).predicted_depth
        found = F.interpolate(found[:, None].float(), (size, size), mode="bilinear", antialias=True)[:, 0]
        low, high = found.amin((1, 2), keepdim=True), found.amax((1, 2), keepdim=True)
        return (found - low) / (high - low).clamp(min=torch.finfo(found.dtype).tiny)


def normals(nearness: Tensor) -> Tensor:
    """Surface normals as colours (n + 1) / 2, (B, 3, H, W) in 0..1, from nearness (B, H, W) in 0..1.

    As in ControlNet's MiDaS annotator (`annotator/midas`), red is left, green is up, blue is towards the
    viewer.
    """
    slopes = torch.stack(_sobel(nearness[:, None]), 1)[:, :, 0] * nearness.shape[-1] / NORMAL_SIDE
    slopes = slopes * (nearness >= BACKGROUND)[:, None]
    return (F.normalize(F.pad(slopes, (0, 0, 0, 0, 0, 1), value=STEEPNESS), dim=1) + 1) / 2


def sketches(pictures: Tensor) -> Tensor:
    """Edges (B, H, W) in 0..1, thin and bright on black, from pictures (B, 3, H, W) in 0..1.

    The brightness of an edge depends on the geometric mean of its contrast at all SCALES. So texture does not
    count, because the coarse scales blur it away, and edges do not get as wide as the coarse blurs.
    """
    contrast, double_sine, double_cosine = torch.ones_like(pictures[:, 0]), 0.0, 0.0
    for scale in SCALES:
        dx, dy = (slope * scale / 8 for slope in _sobel(_blur(pictures, scale)))
        # the height of a blurred step is sqrt(2 pi) times the blur's width times the slope
        height = (2 * math.pi * (dx.square() + dy.square()).mean(1)).sqrt()
        contrast = contrast * height ** (1 / len(SCALES))
        double_sine = double_sine + (2 * dx * dy).mean(1)
        double_cosine = double_cosine + (dx.square() - dy.square()).mean(1)
    angle = torch.atan2(double_sine, double_cosine) / 2  # across the edge, over all channels and scales
    across = torch.stack([angle.cos(), angle.sin()], -1)
    near = [_moved(contrast, across * step) for step in range(-REACH, REACH + 1)]
    crest = torch.stack(near).amax(0).clamp(min=FAINT)
    return ((contrast - FAINT) / (BRIGHT - FAINT)).clamp(0, 1) * (contrast / crest) ** SHARPNESS


def as_picture(values: Tensor) -> Image.Image:
    """Values (H, W) or (3, H, W) in 0..1 as a picture with one or three channels."""
    return to_pil_image(to_bytes(values).cpu())


def _sobel(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's slopes of (B, C, H, W) to the right and downwards, eight times the slope per pixel."""
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=pictures.device)
    return _filter(pictures, kernel), _filter(pictures, kernel.T)


def _blur(pictures: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(3 * sigma)
    places = torch.arange(-radius, radius + 1, device=pictures.device)
    weights = torch.softmax(-(places**2) / (2 * sigma**2), 0)
    return _filter(_filter(pictures, weights[None]), weights[:, None])


def _filter(pictures: Tensor, kernel: Tensor) -> Tensor:
    channels = pictures.shape[1]
    y, x = (side // 2 for side in kernel.shape)
    padded = F.pad(pictures, (x, x, y, y), mode="reflect")
    return F.conv2d(padded, kernel.expand(channels, 1, *kernel.shape), groups=channels)


def _moved(values: Tensor, by: Tensor) -> Tensor:
    """`values` (B, H, W) read at each pixel's place plus `by` (B, H, W, 2), pixels to the right and down."""
    height, width = values.shape[1:]
    y = torch.arange(height, device=values.device)[:, None]
    x = torch.arange(width, device=values.device)
    place = torch.stack([x + by[..., 0], y + by[..., 1]], -1)
    ends = torch.tensor([width - 1, height - 1], device=values.device)
    sampled = F.grid_sample(values[:, None], place / ends * 2 - 1, padding_mode="border", align_corners=True)
    return sampled[:, 0]
