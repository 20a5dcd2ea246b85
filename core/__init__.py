"""The methods: plain torch, neither ComfyUI nor diffusers."""
