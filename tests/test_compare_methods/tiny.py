"""A network and batches that train in no time."""

TINY = {
    'train_dataloader.batch_size': 8,
    'model.backbone.arch': dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16),
}
