"""Sources of clips: the demo corpus, declared corpora, and folders with transcripts."""
