# The one network of the quickstart: whatever trains, evaluates or fine-tunes it reads these values.
arch = dict(embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768)
embed_dims = 192
patch_size = 16
image_size = 96  # pixels of a global crop and of an image under evaluation
pixel_mean = (123.675, 116.28, 103.53)
pixel_std = (58.395, 57.12, 57.375)
