# The one network of the quickstart: whatever trains, evaluates or fine-tunes it reads these values.
arch = dict(embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512)
embed_dims = 128
patch_size = 16
crop_size = 64  # pixels of a global crop: 16 patches, more learn slower in minutes
image_size = 96  # pixels of an image under evaluation
pixel_mean = (123.675, 116.28, 103.53)
pixel_std = (58.395, 57.12, 57.375)
