"""Training of one network by several processes, each with a GPU of its own, through accelerate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skorch import NeuralNet
from skorch.hf import AccelerateMixin
from torch import Tensor

from nonredundant.nn.training import VAENet
from nonredundant.utils.optional import import_optional
from nonredundant.utils.validation import InvalidParameterError


class AcceleratedVAENet(AccelerateMixin, VAENet):
    """`VAENet` whose steps are shared by the processes that `accelerate launch` started.

    Each process takes other batches of the same epoch; gradients and recorded terms are means over
    the processes, so that weights and decisions, such as early stopping, are the same in all.

    Parameters
    ----------
    module : nn.Module
        As for `VAENet`.
    accelerator : accelerate.Accelerator
        What joins the processes.
    **kwargs
        As for `VAENet`.
    """

    @property
    def network(self) -> Any:
        """Return the module without its wrapper, which knows nothing but a call."""
        return self.accelerator.unwrap_model(self.module_)

    def initialize(self) -> AcceleratedVAENet:
        """Initialise the net; the mixin does not call the method of the class below it."""
        super().initialize()
        self._initialize_precision()
        return self

    def initialize_criterion(self) -> AcceleratedVAENet:
        """Set no criterion: the module returns its loss, and an empty one cannot be shared."""
        self.criterion_ = None
        return self

    def get_iterator(self, *arguments: Any, **settings: Any) -> Any:
        """Return a loader of the batches of this process."""
        if self.accelerator.num_processes == 1:
            # A loader of accelerate fetches a batch ahead, so that random draws change places.
            return VAENet.get_iterator(self, *arguments, **settings)
        return super().get_iterator(*arguments, **settings)

    def _validate_params(self) -> None:
        # The mixin forbids a device; the one of this net is that of the accelerator.
        NeuralNet._validate_params(self)

    def _record(self, prefix: str, terms: Mapping[str, Tensor]) -> None:
        """Note the means of the terms over the processes."""
        means = {
            name: self.accelerator.reduce(value.detach().float(), "mean")
            for name, value in terms.items()
        }
        super()._record(prefix, means)


def make_accelerator(device: str) -> Any:
    """Return the accelerator of this process, on the CPU if that is the device.

    Half precision is an option of the net, and each process takes whole batches.
    """
    accelerate = import_optional(
        "accelerate", extra="accelerate", purpose="net_params={'accelerate': True}"
    )
    # A term may leave parameters out, for instance where a batch is too small for it.
    joined = accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)
    return accelerate.Accelerator(
        cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[joined]
    )


def shared_training(device: str, terms: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Return the accelerator of a training; raise if processes would train parts of their own.

    Parameters
    ----------
    device : str
        Device of this process.
    terms : mapping of str to independence term
        Terms of the loss outside the network.
    options : mapping
        Options of the user for the net.

    Returns
    -------
    accelerate.Accelerator
        The accelerator.

    Raises
    ------
    InvalidParameterError
        If a term has parameters to train, or the training continues an earlier one.
    """
    if options.get("warm_start"):
        raise InvalidParameterError(
            "net_params: 'warm_start' and 'accelerate' cannot be combined; leave one of them out"
        )
    accelerator = make_accelerator(device)
    trained = [name for name, term in terms.items() if _is_trained(term)]
    if trained and accelerator.num_processes > 1:
        raise InvalidParameterError(
            f"net_params['accelerate'] with {accelerator.num_processes} processes: each would "
            f"train a discriminator of its own for {trained}; use a term without parameters, such "
            "as 'dcor', or one process"
        )
    return accelerator


def _is_trained(term: Any) -> bool:
    """Return whether a term has parameters to train."""
    return term is not None and term.fit_mode != "closed-form"
