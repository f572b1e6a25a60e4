"""The networks that a run's own works beside, as a sampling chain wants them."""

import dataclasses
from typing import Any

from jaxrain.companions import Weights
from jaxrain.first_guess import FirstGuess
from jaxrain.stages import Regression
from jaxrain.training.gradients import Params
from jaxrain.training.network import Apply


@dataclasses.dataclass(frozen=True, eq=False)
class Beside:
    """What a chain calls besides the network that denoises.

    Attributes:
      regression: whose remainder the network learned; None where it is of one stage.
      first_guess: whose rain the chain begins from; None where it begins from pure noise.
    """

    regression: Regression | None = None
    first_guess: FirstGuess | None = None

    def network(self, apply: Apply) -> Apply:
        """The run's network, apply(weights, x, s), as a function of what `weights` makes."""
        if self.regression is None and self.first_guess is None:
            return apply
        return lambda weights, x, s: apply(weights.network, x, s)

    def weights(self, own: Params) -> Params | Weights:
        """Weights of all networks in one: the run's alone where it works alone."""
        if self.regression is None and self.first_guess is None:
            return own
        return Weights(
            own,
            None if self.regression is None else self.regression.run.weights,
            None if self.first_guess is None else self.first_guess.run.weights,
        )

    def functions(self) -> dict[str, Any]:
        """`regress` and `guess` of `make_chain`, as far as there are any."""
        found: dict[str, Any] = {}
        if self.regression is not None:
            found["regress"] = self.regression.regress
        if self.first_guess is not None:
            found["guess"] = self.first_guess.guess
        return found

    def hashes(self) -> dict[str, str]:
        """sha256 of the weights of each, by name."""
        found = {}
        if self.regression is not None:
            found["regression"] = self.regression.run.sha256
        if self.first_guess is not None:
            found["first guess"] = self.first_guess.run.sha256
        return found
