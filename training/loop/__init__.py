"""The one training loop, and what it reads, keeps and costs."""
