"""Models and data sets as folders that the Hugging Face Hub shows and opens, and their upload."""
