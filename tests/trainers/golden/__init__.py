"""Losses and gradients of TRL 1.16, and the setting in which they were computed."""
