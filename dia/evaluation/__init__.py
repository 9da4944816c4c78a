"""Scores of speech by models that know nothing of the one that spoke, with intervals."""
