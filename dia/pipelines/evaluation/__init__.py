"""Whole evaluations, put together: what is asked, who speaks, what is measured, what is written."""
