"""The tables in docs/results, each made by the command that its JSON names."""
