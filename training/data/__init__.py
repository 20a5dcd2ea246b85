"""Training and test sets made of public data sets, as WebDataset shards."""
