"""Data: corpora, preparation on several engines, labels, data sets and batches."""
