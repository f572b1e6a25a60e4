"""The diffusion process in PyTorch: the reference. Wraps a network as the public packages do.

Symbols: s = sqrt(alpha_bar), x = s x0 + sqrt(1 - s^2) eps, sigma = sqrt(1 - s^2) / s.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from model.schedules import make_buffers
from model.unet import Dialect

PREFIX: dict[Dialect, str] = {"sr3": "denoise_fn", "climate": "denoise_net"}


class GaussianDiffusion(nn.Module):
    """A network with its noise schedule; state_dict as in the dialect's `*_gen.pth`.

    Args:
      network: (input [B, C + 1, H, W], s [B, 1]) -> [B, 1, H, W].
      betas: [T], float64.
      dialect: decides the network's prefix in state_dict.
      prediction: what the network outputs.
      loss: l2 or l1.
      weighting: of noise levels in the loss.
      min_snr_gamma: cap of the signal-to-noise ratio for min_snr.
      dtype: of the buffers.
    """

    def __init__(
        self,
        network: nn.Module,
        betas: np.ndarray,
        *,
        dialect: Dialect = "sr3",
        prediction: Literal["eps", "v", "x0"] = "eps",
        loss: Literal["l1", "l2"] = "l2",
        weighting: Literal["none", "min_snr"] = "none",
        min_snr_gamma: float = 5.0,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        setattr(self, PREFIX[dialect], network)
        self.dialect: Dialect = dialect
        self.prediction = prediction
        self.loss = loss
        self.weighting = weighting
        self.min_snr_gamma = min_snr_gamma
        for name, values in make_buffers(betas).items():
            self.register_buffer(name, torch.tensor(values, dtype=dtype))
        # [T + 1], not in state_dict: alpha_bar with alpha_bar[0] = 1 in front, in full precision.
        self.alpha_bar = np.append(1.0, np.cumprod(1 - betas))

    @property
    def network(self) -> nn.Module:
        """The wrapped network, whatever its prefix."""
        return getattr(self, PREFIX[self.dialect])

    def q_sample(self, x0: Tensor, s: Tensor, eps: Tensor) -> Tensor:
        """Noises x0 to level s, which broadcasts against it."""
        return s * x0 + torch.sqrt(1 - s * s) * eps

    def posterior(self, x0: Tensor, x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(x_{t-1} | x_t, x0), t in 1..T."""
        on_x0 = self.get_buffer("posterior_mean_coef1")[t - 1]
        on_x = self.get_buffer("posterior_mean_coef2")[t - 1]
        return on_x0 * x0 + on_x * x, self.get_buffer("posterior_log_variance_clipped")[t - 1]

    def draw_levels(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """s [B, 1]: t uniform in 1..T, then s uniform between the levels of t and t - 1."""
        betas = self.get_buffer("betas")
        levels = torch.as_tensor(np.sqrt(self.alpha_bar), dtype=betas.dtype)
        t = torch.randint(1, len(levels), (batch, 1), generator=generator)
        share = torch.rand((batch, 1), generator=generator, dtype=levels.dtype)
        return (levels[t] + share * (levels[t - 1] - levels[t])).to(betas.device)

    def forward(self, x0: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """The training loss at fresh levels and noise."""
        s = self.draw_levels(x0.shape[0])
        return self.loss_at(x0, condition, s, torch.randn_like(x0), mask)

    def loss_at(
        self,
        x0: Tensor,
        condition: Tensor,
        s: Tensor,
        eps: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The mean over known values (mask 1) of the weighted loss at levels s [B, 1]."""
        level = s[:, :, None, None]
        noise = torch.sqrt(1 - level * level)
        x = self.q_sample(x0, level, eps)
        target = {"eps": eps, "v": level * eps - noise * x0, "x0": x0}[self.prediction]
        error = self.network(torch.cat([condition, x], 1), s) - target
        cost = error.abs() if self.loss == "l1" else error.square()
        if mask is None:
            mask = torch.ones_like(x0)
        cost = torch.where(mask > 0, cost, torch.zeros_like(cost)).sum((1, 2, 3))
        return (self._weight(s[:, 0]) * cost).sum() / (mask > 0).sum().clamp(min=1)

    def _weight(self, s: Tensor) -> Tensor:
        if self.weighting == "none":
            return torch.ones_like(s)
        snr = s * s / torch.clamp(1 - s * s, min=torch.finfo(s.dtype).eps)
        capped = torch.clamp(snr, max=self.min_snr_gamma)
        return {"eps": capped / snr, "v": capped / (snr + 1), "x0": capped}[self.prediction]

    @torch.no_grad()
    def denoise(self, x: Tensor, condition: Tensor, s: Tensor) -> Tensor:
        """x0_hat at level s, a scalar."""
        level = s.to(x).expand(x.shape[0], 1)
        output = self.network(torch.cat([condition, x], 1), level)
        s = level[:, :, None, None]
        noise = torch.sqrt(1 - s * s)
        match self.prediction:
            case "eps":
                # jsd ends at s = 0, where noise tells nothing: huge and clipped, but no 0 / 0.
                return (x - noise * output) / torch.clamp(s, min=torch.finfo(x.dtype).tiny)
            case "v":
                return s * x - noise * output
            case "x0":
                return output


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay average + (1 - decay) network, parameter by parameter."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.mul_(decay).add_(value, alpha=1 - decay)
