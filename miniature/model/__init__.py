"""The small Stable Diffusion of that world, its stages of training and its judges."""
