"""Standalone scripts that train weights on diffusers models."""
