"""What the miniature's stages keep of their scenes."""

from __future__ import annotations

import torch
from finesse.miniature.model import networks
from finesse.miniature.model.stage_data import StageArguments, latents_of, tokens_of
from finesse.miniature.world.tensors import load_scenes
from finesse.miniature.world.things import ON_MAPS
from transformers import CLIPTokenizer


def test_other_scenes_of_the_same_number_are_encoded_anew(miniature, tmp_path):
    arguments = StageArguments(stage="image_factor", folder=str(tmp_path), size=64)
    arguments.weights.parent.mkdir(parents=True, exist_ok=True)
    arguments.weights.symlink_to(miniature, target_is_directory=True)
    loaded = networks.load(miniature)
    tokenizer = CLIPTokenizer.from_pretrained(miniature / "tokenizer")
    found = []
    for things in ({}, {"things": ON_MAPS}, {}):
        scenes = load_scenes(tmp_path, "train", 4, 64, **things)
        latents = latents_of(arguments, scenes["pixels"], loaded.vae, {"precision": "no"})
        found.append((latents, tokens_of(arguments, scenes["caption"], tokenizer, {"precision": "no"})))
    for one, other, again in zip(*found, strict=True):
        assert not torch.equal(one, other)
        assert torch.equal(one, again)
