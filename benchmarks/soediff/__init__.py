"""The tables of SOEDiff."""
