# A discrete autoencoder of 512 codes, one for 8 x 8 pixels: 112 pixels give the 14 x 14 codes of a ViT with 224 pixels.
model = dict(
    type='DiscreteVAE',
    network=dict(
        type='StridedDVAE',
        vocabulary_size=512,
        codebook_dim=128,
        num_layers=3,
        hidden_dim=128,
        out_channels=6,
    ),
    pixel_law='logit_laplace',
)
