"""Networks of discrete variational autoencoders: images to scores of codes on a grid, and back.

They share an interface: ``encode(pixels) -> scores (B, K, h, w)``, ``decode(weights (B, K, h, w)) -> (B, C, H, W)``,
``vocabulary_size`` K, ``downsampling`` (pixels a code) and ``sizes_in(state)``.
"""

from mim_plugin.models.dvae.dalle import DALLEDVAE, DALLEDecoder, DALLEEncoder
from mim_plugin.models.dvae.strided import StridedDVAE

__all__ = ['DALLEDVAE', 'DALLEDecoder', 'DALLEEncoder', 'StridedDVAE']
