"""How much memory training a supernet takes, told before it begins.

What lasts are parameters, their gradients and the optimiser's moments. What grows with the batch is what the forward
pass keeps for the backward pass: that is counted, not guessed, from a forward pass of two images in which every tensor
that torch keeps is seen once. The gradients that a backward pass holds at a time come on top of what is left of that
by then; their share grows where few pairs are alive (docs/results/supernet_step.md has both beside measured peaks).
"""

from __future__ import annotations

import torch
from torch import Tensor

from crlso.supernet.cell import untracked
from crlso.supernet.network import FlexibleSupernet

_PROBE = 2  # images of the forward pass; one would have no variance where a pixel is all that is left


def memory_estimate(
    supernet: FlexibleSupernet, batch: int, input_shape: tuple[int, int, int], *, moments: int = 1
) -> int:
    """Bytes that training takes when the backward pass begins, with the pairs that are alive now.

    Args:
        supernet: with whatever pairs are alive; it is left as it is.
        batch: images a step.
        input_shape: (C, H, W) of one image.
        moments: tensors that the optimiser keeps for a parameter: 1 for SGD with momentum, 2 for Adam.
    """
    like = next(supernet.parameters())
    images = torch.zeros(_PROBE, *input_shape, dtype=like.dtype, device=like.device)
    weights = [like.new_ones(len(supernet.triples)).requires_grad_() for _ in supernet.cells]
    kept: dict[int, Tensor] = {}  # by address; the tensors are held, so that none is reused

    def see(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    mode = supernet.training
    supernet.train()
    try:
        with untracked(supernet), torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
            supernet(images, weights)
    finally:
        supernet.train(mode)
    own = {parameter.untyped_storage().data_ptr() for parameter in supernet.parameters()}
    activations = sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)
    parameters = sum(tensor.nbytes for tensor in supernet.parameters())
    return (2 + moments) * parameters + activations * batch // _PROBE
