"""One training step in PyTorch: the reference. Its settings are those of the JAX package."""

import torch
from torch import Tensor, nn

from model.diffusion import GaussianDiffusion, update_ema


def create_optimizer(
    network: nn.Module, *, beta2: float = 0.999, weight_decay: float = 0.0
) -> torch.optim.AdamW:
    """AdamW whose decay pulls at kernels alone; `train_step` sets its learning rate.

    Without decay there is one group, so that its state is numbered by the order of registration.
    """
    kernels = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    if not weight_decay:
        groups = [{"params": list(network.parameters()), "weight_decay": 0.0}]
    else:
        groups = [
            {"params": kernels, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, beta2), eps=1e-8)


@torch.no_grad()
def clip_gradients(network: nn.Module, limit: float) -> Tensor:
    """Scales all gradients down to a global L2 norm of at most `limit`; returns the norm before.

    torch.nn.utils.clip_grad_norm_ divides by the norm plus 1e-6; this divides by the norm.
    """
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.sqrt(torch.stack([g.square().sum() for g in gradients]).sum())
    if norm > limit:
        for gradient in gradients:
            gradient.mul_(limit / norm)
    return norm


def train_step(
    process: GaussianDiffusion,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    *,
    step: int,
    learning_rate: float,
    clip_norm: float | None = 1.0,
    ema_decay: float = 0.9999,
) -> tuple[Tensor, Tensor]:
    """One update of weights and average.

    Args:
      process: of the network that is trained.
      average: network with the averaged weights.
      optimizer: of `create_optimizer`.
      batch: x0, eps [B, 1, H, W], condition [B, C, H, W], s [B, 1]; mask like x0 if any.
      step: updates done before; the average's decay ramps up with it.
      learning_rate: of this update.
      clip_norm: largest global norm of gradients, or None.
      ema_decay: of the average, once ramped up.

    Returns:
      Loss, and the gradients' global norm before clipping.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad()
    loss = process.loss_at(**batch)
    loss.backward()
    norm = clip_gradients(process.network, float("inf") if clip_norm is None else clip_norm)
    optimizer.step()
    update_ema(average, process.network, min(ema_decay, (1 + step) / (10 + step)))
    return loss.detach(), norm
