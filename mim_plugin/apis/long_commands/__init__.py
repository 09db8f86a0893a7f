"""What the commands that work for minutes share: quickstart, compare_methods and downstream_smoke.

==================== =================================================================================
module               holds
==================== =================================================================================
command              how a tool starts the work and ends it
options              checks of options, the configs of a family, the shipped checkpoint
folders              what a data folder offers: class folders, images with masks
parts                work in parts that goes on where it was stopped
progress             lines for people: which part, what it does, how much time is left
runs                 a quiet Runner, its length, its loader processes
machine              what a figure was measured on, and what a run takes: time, memory
labelled_images      images of class folders, decoded once
frozen_features      figures of frozen features, and of what needs no network
segmentation         images with masks: reading them, fitting a config to them, a picture
color_classifier     figures of a segmentation that need no network
tables               tables in Markdown
==================== =================================================================================
"""
