"""Discrete autoencoders: DALL-E's, and the one of BEiT's code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.models.dvae import DALLEDecoder, DALLEEncoder, StridedDVAE
from mim_plugin.models.layers.pixel_map import map_pixels
from mim_plugin.models.losses.dvae import PIXEL_LAWS, kl_to_uniform, relaxed_codes
from mim_plugin.testing.golden.case import Answers, Case

__all__ = ['dalle_decoder', 'dalle_encoder', 'dvae_forward']


@torch.no_grad()
def dalle_encoder(case: Case) -> Answers:
    """Scores, codes and the activation after every part."""
    encoder = DALLEEncoder(*_dalle_sizes(case))
    encoder.load_state_dict(case.weights['encoder'])
    mapped = map_pixels(case.inputs['pixels'])
    logits = encoder(mapped)
    answers = {'mapped': mapped, 'logits': logits, 'codes': logits.argmax(1), 'probs': logits.softmax(1)}
    return Answers(answers | _stages(encoder, mapped))


@torch.no_grad()
def dalle_decoder(case: Case) -> Answers:
    """Outputs of codes and of soft codes, and the activation after every part."""
    decoder = DALLEDecoder(*_dalle_sizes(case), case.settings['n_init'])
    decoder.load_state_dict(case.weights['decoder'])
    grid = [side // 8 for side in case.settings['img_size']]
    codes = case.inputs['codes'].reshape(-1, *grid)
    one_hot = F.one_hot(codes, case.settings['vocab_size']).movedim(-1, 1).float()
    soft = case.inputs['token_probs'].unflatten(1, grid).movedim(-1, 1)
    decoded = decoder(one_hot)
    answers = {
        'decoded': decoded,
        'rgb': PIXEL_LAWS['logit_laplace'].images(decoded),
        'decoded_from_probs': decoder(soft),
    }
    return Answers(answers | _stages(decoder, one_hot))


def dvae_forward(case: Case) -> Answers:
    """Both losses of a batch with given noise, and all gradients."""
    settings = case.settings
    network = StridedDVAE(*(settings[key] for key in ('num_tokens', 'codebook_dim', 'num_layers', 'hidden_dim')))
    network.load_state_dict(case.weights['dvae'])
    images = case.inputs['images']
    logits = network.encode(images)
    noise = case.inputs['gumbel_noise']
    weights = relaxed_codes(logits, settings['temperature'], noise, settings['straight_through'])
    output = network.decode(weights)
    error = PIXEL_LAWS['smooth_l1' if settings['smooth_l1_loss'] else 'l2'].error(output, images)
    kl = kl_to_uniform(logits).sum()
    loss = error + settings['kl_div_loss_weight'] * kl
    loss.backward()
    codes = logits.argmax(1)
    with torch.no_grad():
        decoded = network.decode(F.one_hot(codes, settings['num_tokens']).movedim(-1, 1).float())
    answers = {'logits': logits, 'recon': output, 'loss': loss, 'recon_loss': error, 'kl_div': kl, 'codes': codes}
    grads = {f'grad/{name}': p.grad for name, p in network.named_parameters()}
    return Answers({name: value.detach() for name, value in (answers | grads).items()} | {'decoded': decoded})


def _dalle_sizes(case: Case) -> tuple[int, int, int]:
    return tuple(case.settings[key] for key in ('vocab_size', 'n_hid', 'n_blk_per_group'))


def _stages(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    stages = {}
    for name, part in network.blocks.named_children():
        stages[f'stage/{name}'] = x = part(x)
    return stages
