"""Optimizers, wrappers, parameter groups and schedules."""
