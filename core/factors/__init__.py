"""FG-DM: the adapters that make Stable Diffusion sample condition maps, and chains of them."""
