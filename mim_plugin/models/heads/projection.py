"""The projection head of DINO and iBOT."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

_ACTIVATIONS = {'gelu': nn.GELU, 'relu': nn.ReLU}
_NORMS = {'bn': nn.BatchNorm1d, 'ln': nn.LayerNorm}


class WeightNormLinear(nn.Module):
    """Linear layer without bias whose rows have a length of their own.

    ``W_k = g_k * v_k / |v_k|``. On unit vectors the output is ``g_k`` times the
    cosine between the input and prototype ``k``.

    Args:
        in_features: Width of the input.
        out_features: Number of prototypes K.
        train_scale: Whether ``g`` (starts at 1) is learned.
    """

    def __init__(self, in_features: int, out_features: int, train_scale: bool = True) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(out_features, 1), requires_grad=train_scale)
        self.weight_v = nn.Parameter(nn.Linear(in_features, out_features, bias=False).weight.detach().clone())

    @property
    def weight(self) -> Tensor:
        """The effective weight, shape ``(K, in_features)``."""
        return self.weight_v * (self.weight_g / self.weight_v.norm(dim=1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(rows, in_features)`` to ``(rows, K)``."""
        return F.linear(x, self.weight)


@MODELS.register_module()
class ProjectionHead(nn.Module):
    """MLP, unit-length bottleneck, weight-normalised prototypes.

    Maps [CLS] tokens to K scores and patch tokens to Kp scores. The MLP is common
    to both unless ``shared_layers`` says less, the prototypes are too unless ``shared`` is off.

    Args:
        in_dim: Width D of the tokens.
        out_dim: Number K of prototypes for [CLS].
        patch_out_dim: Number Kp of prototypes for patches; K when None. Ignored when shared.
        hidden_dim: Width of the MLP.
        bottleneck_dim: Width of the unit vectors. 0: no bottleneck, the last
            linear layer of the MLP gives the scores.
        num_layers: Linear layers of the MLP, the one to the bottleneck included.
        norm: Normalisation after every hidden linear layer: None, 'ln' or 'bn' (over
            all tokens of the batch). As published, ONE module serves all hidden
            layers. For synchronised batch norm set the Runner's ``sync_bn='torch'``.
        act: 'gelu' or 'relu'.
        norm_last_layer: Keep the lengths ``g`` of the prototypes at 1.
        shared: Use the prototypes of [CLS] for patches too.
        shared_layers: Number of first layers of the MLP that [CLS] and patches share; patches have their own
            from there on (with a norm of their own, if any). None: all of them.

    Raises:
        ConfigError: For an unknown norm or activation, no bottleneck and one layer, or a part of the MLP that
            cannot be shared.

    Source: iBOT (arXiv 2111.07832), section 3.2 and Table 17. Parameter names are
    those of the published checkpoints.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int = 8192,
        patch_out_dim: int | None = None,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        num_layers: int = 3,
        norm: str | None = None,
        act: str = 'gelu',
        norm_last_layer: bool = False,
        shared: bool = True,
        shared_layers: int | None = None,
    ) -> None:
        super().__init__()
        if act not in _ACTIVATIONS or norm not in (None, *_NORMS):
            raise ConfigError(
                f'ProjectionHead got act={act!r}, norm={norm!r}; act is one of {sorted(_ACTIVATIONS)}, '
                f'norm is None or one of {sorted(_NORMS)}.'
            )
        if bottleneck_dim == 0 and num_layers < 2:
            raise ConfigError(
                'ProjectionHead without bottleneck needs num_layers >= 2; set num_layers or bottleneck_dim.'
            )
        shared_layers = num_layers if shared_layers is None else shared_layers
        _check_sharing(shared, shared_layers, num_layers, bottleneck_dim)
        self.out_dim = out_dim
        self.patch_out_dim = out_dim if shared or patch_out_dim is None else patch_out_dim
        self.shared = shared
        self.has_bottleneck = bottleneck_dim > 0
        # Batch statistics are those of all tokens, so none may be left out.
        self.needs_all_tokens = norm == 'bn'

        def mlp() -> nn.Module:
            norm_layer = _NORMS[norm](hidden_dim) if norm else None
            return _mlp(in_dim, hidden_dim, bottleneck_dim or out_dim, num_layers, norm_layer, _ACTIVATIONS[act])

        self.mlp = mlp()
        self.split = shared_layers * (3 if norm else 2)  # modules of the MLP up to there are shared
        self.patch_mlp = nn.Sequential(*_modules(mlp())[self.split :]) if shared_layers < num_layers else None
        self.apply(_init_linear)
        # Created after the init pass: prototypes keep the default of a linear layer.
        if self.has_bottleneck:
            self.last_layer = WeightNormLinear(bottleneck_dim, out_dim, train_scale=not norm_last_layer)
            if not shared:
                self.last_layer2 = WeightNormLinear(bottleneck_dim, self.patch_out_dim, train_scale=not norm_last_layer)
        elif not shared:
            self.mlp2 = nn.Linear(hidden_dim, self.patch_out_dim)

    @property
    def cls_layer(self) -> nn.Module:
        """The layer that scores [CLS]."""
        return self.last_layer if self.has_bottleneck else self.mlp[-1]

    @property
    def patch_layer(self) -> nn.Module:
        """The layer that scores patches."""
        if self.shared:
            return self.cls_layer
        return self.last_layer2 if self.has_bottleneck else self.mlp2

    def embed(self, x: Tensor) -> Tensor:
        """Map [CLS] tokens, or patch tokens where they share its MLP, to what the last layer reads.

        Args:
            x: ``(rows, D)``.

        Returns:
            ``(rows, bottleneck)``.
        """
        return F.normalize(self.mlp(x), dim=-1) if self.has_bottleneck else self.mlp[:-1](x)

    def embed_both(self, cls: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """The same for [CLS] tokens ``(B, D)`` and patch tokens ``(M, D)``, each by its own MLP."""
        tokens, sizes = torch.cat([cls, patches]), [len(cls), len(patches)]
        if self.patch_mlp is None:
            return self.embed(tokens).split(sizes)
        modules = _modules(self.mlp)
        cls, patches = _run(modules[: self.split], tokens).split(sizes)
        cls, patches = _run(modules[self.split :], cls), self.patch_mlp(patches)
        return F.normalize(cls, dim=-1), F.normalize(patches, dim=-1)

    def forward(self, tokens: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Scores of all tokens.

        Args:
            tokens: ``(B, 1 + N, D)`` with [CLS] first, or [CLS] alone as ``(B, D)``.

        Returns:
            ``(B, K)`` and ``(B, N, Kp)``, or ``(B, K)`` for [CLS] alone.
        """
        if tokens.dim() == 2:
            return self.cls_layer(self.embed(tokens))
        z_cls, z_patches = self.embed_both(tokens[:, 0], tokens[:, 1:].flatten(0, 1))
        return self.cls_layer(z_cls), self.patch_layer(z_patches).unflatten(0, (len(tokens), -1))

    def forward_selected(
        self, cls_tokens: Tensor, patch_tokens: Tensor, patch_index: Tensor, with_patch_mean: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Scores of [CLS] and of the patches that enter a loss.

        Equal to picking from :meth:`forward`, but only what is picked is computed.

        Args:
            cls_tokens: ``(B, D)``.
            patch_tokens: ``(B, N, D)``.
            patch_index: ``(M,)`` int64, positions in the flattened ``B * N``.
            with_patch_mean: Also return the mean score over all patches. The last
                layer is linear, so that is the score of the mean embedding.

        Returns:
            ``(B, K)``, ``(M, Kp)`` and ``(1, Kp)`` or None.
        """
        num_cls = len(cls_tokens)
        patch_tokens = patch_tokens.flatten(0, 1)
        if self.needs_all_tokens or with_patch_mean:
            z_cls, z_all = self.embed_both(cls_tokens, patch_tokens)
            z_patch = z_all[patch_index]
        else:
            z_cls, z_patch = self.embed_both(cls_tokens, patch_tokens[patch_index])
        if with_patch_mean:
            z_patch = torch.cat([z_patch, z_all.float().mean(0, keepdim=True).to(z_patch.dtype)])
        if self.shared:  # one product, one weight
            cls, patch = self.cls_layer(torch.cat([z_cls, z_patch])).split([num_cls, len(z_patch)])
        else:
            cls, patch = self.cls_layer(z_cls), self.patch_layer(z_patch)
        if with_patch_mean:
            return cls, patch[:-1], patch[-1:]
        return cls, patch, None


def _mlp(
    in_dim: int, hidden_dim: int, out_dim: int, num_layers: int, norm: nn.Module | None, act: type[nn.Module]
) -> nn.Module:
    """Linear layers with norm and activation between; a bare Linear for one layer."""
    if num_layers == 1:
        return nn.Linear(in_dim, out_dim)
    layers: list[nn.Module] = []
    for width in [in_dim] + [hidden_dim] * (num_layers - 2):
        layers.append(nn.Linear(width, hidden_dim))
        if norm is not None:
            layers.append(norm)
        layers.append(act())
    return nn.Sequential(*layers, nn.Linear(hidden_dim, out_dim))


def _check_sharing(shared: bool, shared_layers: int, num_layers: int, bottleneck_dim: int) -> None:
    if not 0 <= shared_layers <= num_layers:
        raise ConfigError(
            f'shared_layers={shared_layers} of ProjectionHead is not a number of layers of an MLP of {num_layers}; '
            f'use 0 to {num_layers}, or None for all.'
        )
    if shared_layers < num_layers and (shared or bottleneck_dim == 0):
        raise ConfigError(
            f'ProjectionHead shares {shared_layers} of {num_layers} layers of the MLP but the last layer with all; '
            'set shared=False, and a bottleneck_dim above 0.'
        )


def _modules(mlp: nn.Module) -> list[nn.Module]:
    return list(mlp) if isinstance(mlp, nn.Sequential) else [mlp]


def _run(modules: list[nn.Module], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
