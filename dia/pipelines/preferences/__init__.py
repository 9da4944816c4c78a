"""Preference data sets: from judged takes, from the votes of a listening test, or from a table of pairs."""
