"""A small world of emoji scenes with a small Stable Diffusion of its own, to try and test every claim on."""
