"""BLIP-VQA answers questions about pictures (Li et al. 2022); the model is that of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, BlipForQuestionAnswering, BlipProcessor

LONGEST_ANSWER = 10  # tokens


class Blip:
    """BLIP-VQA from a local folder, in half precision on a GPU. Nothing is ever downloaded.

    Raises ValueError if the folder is missing or holds another model.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        wanted = "give the folder of a BLIP model for question answering, such as Salesforce/blip-vqa-base"
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} has no config.json: {wanted}.")
        local = {"local_files_only": True}
        try:
            if (kind := AutoConfig.from_pretrained(folder, **local).model_type) != "blip":
                raise ValueError(f"its model type is {kind}")
            model, loaded = BlipForQuestionAnswering.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, **local
            )
            self.processor = BlipProcessor.from_pretrained(folder, **local)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} cannot be used: {error}; {wanted}.") from error
        for name, part in model.named_children():  # a captioning BLIP, for example, has no text encoder
            if {f"{name}.{key}" for key in part.state_dict()} <= set(loaded["missing_keys"]):
                raise ValueError(f"{folder} lacks the weights of {name}: {wanted}.")
        half = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
        self.name, self.device = folder.resolve().name, device
        self.files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
        self.dtype = torch.float32 if device.type == "cpu" else half
        self.model = model.to(device, self.dtype).eval()

    def prepare(self, crops: Sequence[Image.Image]) -> Tensor:
        """Crops of any size as pixels (N, 3, side, side) on the CPU. Thread-safe."""
        return self.processor.image_processor(list(crops), return_tensors="pt")["pixel_values"].to(self.dtype)

    @torch.inference_mode()
    def ask(self, pixels: Tensor, questions: Sequence[str]) -> list[str]:
        """One answer in lower case for each of N questions about pixels (N, 3, side, side)."""
        tokens = self.processor.tokenizer(list(questions))["input_ids"]
        answers = [""] * len(questions)
        # transformers' BLIP also decodes from the padding of a question, so a batch has questions of one
        # length.
        for length in sorted({len(row) for row in tokens}):
            rows = [row for row, ids in enumerate(tokens) if len(ids) == length]
            ids = torch.tensor([tokens[row] for row in rows], device=self.device)
            output = self.model.generate(
                input_ids=ids,
                pixel_values=pixels[rows].to(self.device),
                attention_mask=torch.ones_like(ids),
                max_new_tokens=LONGEST_ANSWER,
                do_sample=False,
            )
            texts = self.processor.tokenizer.batch_decode(output, skip_special_tokens=True)
            for row, text in zip(rows, texts, strict=True):
                answers[row] = text.strip().lower()
        return answers
