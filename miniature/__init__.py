"""The miniature is a small emoji world with its own small Stable Diffusion, to test every claim on."""
