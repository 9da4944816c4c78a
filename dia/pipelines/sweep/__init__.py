"""Searching hyper-parameters: a space, a study that remembers, and trials that are training runs of their
own.
"""
