"""Families of deep generative models, one system a file; `minigen.models.base` says what they have in common."""
