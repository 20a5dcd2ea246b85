"""Standalone scripts that make weights, on diffusers models."""
