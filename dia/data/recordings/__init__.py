"""Raw recordings become labelled dialogues: what models hear is kept, what is decided from it can be decided
again.
"""
