"""Scripts that turn public data sets into training and test sets, as WebDataset shards."""
