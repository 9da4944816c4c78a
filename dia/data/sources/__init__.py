"""Where clips come from: the demo corpus, corpora by declaration, a folder with transcripts, raw
recordings.
"""
