"""A small Segment Anything model under Meta's own names, and what Meta's own code makes of it.

`sam_reference.json` holds the names and shapes of such a model and the masks that the package
segment-anything 1.0 finds with the weights below. It was written by

    pip install segment-anything && python -m finesse.tests.nodes.layers.small_sam
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

REFERENCE = Path(__file__).parent / "sam_reference.json"
SIDE = 64
PICTURES = {"exact": (64, 48), "smaller": (50, 40), "larger": (70, 100)}
PROMPTS = {
    "point": {"points": [[12, 20]], "labels": [1]},
    "points": {"points": [[12, 20], [30, 9], [5, 44]], "labels": [1, 1, 0]},
    "box": {"box": [4, 10, 33, 45]},
    "box and point": {"points": [[20, 20]], "labels": [0], "box": [4, 10, 33, 45]},
}


def weights(shapes):
    """The same weights for the same shapes on every machine, by name."""
    random = np.random.RandomState(38)
    return {
        name: torch.from_numpy(0.3 * random.standard_normal(shape).astype(np.float32))
        for name, shape in sorted(shapes.items())
    }


def picture(height, width):
    """Noise in large patches, uint8 (height, width, 3)."""
    random = np.random.RandomState(height)
    return np.kron(random.randint(0, 256, (10, 10, 3)), np.ones((10, 10, 1)))[:height, :width].astype(
        np.uint8
    )


def main():
    from segment_anything import SamPredictor

    model = _model().eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights(shapes))
    predictor = SamPredictor(model)
    found = {}
    for name, size in PICTURES.items():
        predictor.set_image(picture(*size))
        for kind, prompt in PROMPTS.items():
            given = {key: np.array(value) for key, value in prompt.items()}
            masks, ious, logits = predictor.predict(
                given.get("points"), given.get("labels"), given.get("box"), multimask_output=kind == "point"
            )
            found[f"{name}: {kind}"] = {
                "ious": ious.astype(float).round(6).tolist(),
                "logits": logits.astype(float).round(5).tolist() if name == "exact" else None,
                "masks": [np.packbits(mask).tobytes().hex() for mask in masks],
            }
    REFERENCE.write_text(json.dumps({"shapes": shapes, "found": found}, separators=(",", ":")) + "\n")


def _model():
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    encoder = ImageEncoderViT(
        depth=3,
        embed_dim=32,
        img_size=SIDE,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=2,
        patch_size=16,
        use_rel_pos=True,
        global_attn_indexes=[1],
        window_size=3,
        out_chans=32,
    )
    prompts = PromptEncoder(
        embed_dim=32, image_embedding_size=(4, 4), input_image_size=(SIDE, SIDE), mask_in_chans=16
    )
    decoder = MaskDecoder(
        transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=64, num_heads=8),
        transformer_dim=32,
        iou_head_hidden_dim=32,
    )
    return Sam(encoder, prompts, decoder)


if __name__ == "__main__":
    main()
