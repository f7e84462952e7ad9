"""The skorch net that trains the networks of the package: steps, recorded terms, devices."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, PrintLog
from skorch.dataset import get_len
from skorch.exceptions import SkorchException
from skorch.helper import predefined_split
from skorch.utils import TeeGenerator
from torch import Tensor
from torch.utils.data import Dataset

from nonredundant.nn.batches import as_is
from nonredundant.nn.callbacks import EpochBar, TermHistory, learning_rate
from nonredundant.nn.options import check_callbacks, refuse_own_arguments, schedules
from nonredundant.nn.stored import LesionLoader
from nonredundant.utils.validation import InvalidParameterError

#: Names of skorch for the total, which a log need not print twice.
_REPEATED = ["train_loss", "valid_loss"]


class TermNet(NeuralNet):
    """Skorch net whose loss is a sum of named terms, each recorded per epoch.

    A subclass defines `objective`. If terms have parameters to train, it trains them in
    `after_step`.

    Parameters
    ----------
    module : nn.Module
        The network.
    lr_schedule : {"cosine", "constant"}
        Schedule of the learning rate; see `nn.callbacks.learning_rate`.
    n_steps : int
        Number of steps of the whole training, for the schedule.
    mixed_precision : bool
        Whether the forward pass on CUDA runs in half precision: bfloat16 where the GPU has it,
        else float16 with scaled gradients.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Any,
        *,
        lr_schedule: str = "constant",
        n_steps: int = 1,
        mixed_precision: bool = False,
        **kwargs: Any,
    ) -> None:
        self.lr_schedule = lr_schedule
        self.n_steps = n_steps
        self.mixed_precision = mixed_precision
        super().__init__(module, criterion=torch.nn.Identity, **kwargs)

    def objective(self, batch: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the total loss, the prediction of the network, and the terms by name."""
        raise NotImplementedError

    def respond(self, batch: Any) -> Tensor:
        """Return the prediction of the network, without the loss."""
        raise NotImplementedError

    def as_pair(self, batch: Any) -> tuple[Any, Tensor | None]:
        """Return a batch as skorch and its callbacks expect one: input and target, if any."""
        return batch, None

    def _notify_gradients(self, batch: Any) -> None:
        """Call the callbacks that change gradients, such as clipping, with those of a step."""
        self.grad_scaler_.unscale_(self.optimizer_)
        parameters = TeeGenerator(self.get_all_learnable_params())
        pair = self.as_pair(batch)
        self.notify("on_grad_computed", named_parameters=parameters, batch=pair, training=True)

    def after_step(self, batch: Any, prediction: Tensor) -> None:
        """Train terms that have parameters; does nothing by default."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        """Return the recorder of terms, the learning-rate schedule, and a bar or a log."""
        callbacks: list[tuple[str, Callback]] = [("terms", TermHistory())]
        schedule = learning_rate(self.lr_schedule, self.n_steps)
        if schedule is not None:
            callbacks.append(("lr_schedule", schedule))
        shown = ("print_log", PrintLog(_REPEATED)) if self.verbose else ("bar", EpochBar())
        return [*callbacks, shown]

    def initialize(self) -> TermNet:
        """Initialise the net and the gradient scaler that half precision needs."""
        super().initialize()
        self._initialize_precision()
        return self

    def _initialize_precision(self) -> None:
        """Choose the type of the forward pass and the gradient scaler that it needs."""
        half = self.mixed_precision and self._on_cuda
        self.half_ = torch.float32
        if half:
            self.half_ = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        # Only float16 needs scaled gradients; each step that scales them waits for the device.
        self.grad_scaler_ = torch.amp.GradScaler("cuda", enabled=self.half_ == torch.float16)
        self.unread_: list[tuple[dict[str, Any], str, Tensor]] = []

    @property
    def network(self) -> Any:
        """Return the module, also while the one that is trained wraps it."""
        return self.module_

    @property
    def _on_cuda(self) -> bool:
        """Return whether the net computes on an NVIDIA GPU."""
        return torch.device(self.device).type == "cuda"

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **settings: Any
    ) -> None:
        """Take the steps of an epoch as skorch does, but read their numbers from a GPU at its end.

        Skorch reads the loss of each step, and so waits once per step until the device has done
        what it was given. No callback can prevent that.
        """
        if iterator is None:
            return
        self.unread_ = []
        n_batches = 0
        for batch in iterator:
            pair = self.as_pair(batch)
            self.notify("on_batch_begin", batch=pair, training=training)
            step = step_fn(batch, **settings)
            n_rows = get_len(batch[0] if isinstance(batch, tuple | list) else batch)
            self.history.record_batch(f"{prefix}_batch_size", n_rows)
            self.notify("on_batch_end", batch=pair, training=training, **step)
            n_batches += 1
        self._read_terms()
        self.history.record(f"{prefix}_batch_count", n_batches)

    def partial_fit(self, X: Any, y: Any = None, **settings: Any) -> TermNet:
        """Train further; an interrupt propagates.

        The method of skorch swallows an interrupt and returns a net that was trained for too few
        epochs as if it were done. Skorch's early stopping ends the training by the same
        exception; that remains a normal end.
        """
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **settings)
        except KeyboardInterrupt:
            if not self._stopped_early():
                raise
        except (KeyError, ValueError, SkorchException) as error:
            self._explain_monitor(error)
            raise
        finally:
            for _, callback in self.callbacks_:
                if isinstance(callback, EpochBar):
                    callback.close()
        # After an interrupt, a callback would save a half-trained net as if it were done.
        self.notify("on_train_end", X=X, y=y)
        check_weights(self.module_)
        return self

    def _stopped_early(self) -> bool:
        """Return whether early stopping has ended the training."""
        stops = [callback for _, callback in self.callbacks_ if isinstance(callback, EarlyStopping)]
        return any(stop.misses_ == stop.patience for stop in stops)

    def _explain_monitor(self, error: Exception) -> None:
        """Raise if an error says that a callback monitors what is not recorded: a wrong option."""
        if "was not found in history" not in str(error):
            return
        recorded = sorted(name for name in self.history[-1] if name != "batches")
        raise InvalidParameterError(
            f"a callback of net_params monitors what is not recorded: {error.args[0]} Recorded "
            f"are {recorded}; valid_* need held-out rows (validation_fraction)"
        ) from error

    @property
    def term_names(self) -> list[str]:
        """Return the names of the recorded terms."""
        return list(getattr(self, "term_names_", ()))

    def train_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Take one optimisation step on a batch."""
        batch = batch.to(self.device)
        self.module_.train()
        self.optimizer_.zero_grad(set_to_none=True)
        total, prediction, terms = self._objective(batch)
        self._record("train", terms)
        self.grad_scaler_.scale(total).backward()
        self._notify_gradients(batch)
        self.grad_scaler_.step(self.optimizer_)
        self.grad_scaler_.update()
        self.after_step(batch, prediction.detach())
        return {"loss": total.detach(), "y_pred": prediction.detach()}

    def validation_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Evaluate the objective on a batch of held-out rows."""
        batch = batch.to(self.device)
        self.module_.eval()
        with torch.no_grad():
            total, prediction, terms = self._objective(batch)
        self._record("valid", terms)
        return {"loss": total, "y_pred": prediction}

    def evaluation_step(self, batch: Any, training: bool = False) -> Tensor:
        """Return the prediction of a batch; `predict` and scoring callbacks call it."""
        self.check_is_fitted()
        with torch.set_grad_enabled(training):
            self._set_training(training)
            return self.respond(batch.to(self.device))

    def _objective(self, batch: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Evaluate the objective, in half precision if `mixed_precision`."""
        half = self.half_ != torch.float32
        with torch.autocast("cuda" if half else "cpu", dtype=self.half_, enabled=half):
            total, prediction, terms = self.objective(batch)
        return total, prediction, {"total": total, **terms}

    def _record(self, prefix: str, terms: Mapping[str, Tensor]) -> None:
        """Note the terms of a batch, which are recorded once they have been read."""
        self.term_names_ = list(terms)
        values = torch.stack([value.detach().float() for value in terms.values()])
        self.unread_.append((self.history[-1]["batches"][-1], prefix, values))
        if not self._on_cuda:
            self._read_terms()

    def _read_terms(self) -> None:
        """Record the terms of the batches since the last call; raise if one is not finite."""
        unread, self.unread_ = self.unread_, []
        if not unread:
            return
        rows = torch.stack([values for _, _, values in unread]).tolist()
        for (record, prefix, _), values in zip(unread, rows, strict=True):
            named = dict(zip(self.term_names_, values, strict=True))
            record.update({f"{prefix}_{name}": value for name, value in named.items()})
            record[f"{prefix}_loss"] = named["total"]
            bad = [name for name, value in named.items() if not math.isfinite(value)]
            if bad:
                self._raise_diverged(([name for name in bad if name != "total"] or bad)[0])

    def _raise_diverged(self, term: str) -> None:
        """Raise the error of a term that is not finite."""
        raise FloatingPointError(
            f"training diverged: the term {term!r} is no longer a finite number in epoch "
            f"{len(self.history)}; lower lr (now {self.lr}) or the weight of that term"
        )


def build_net(
    kind: Callable[..., TermNet],
    module: torch.nn.Module,
    *,
    valid: Dataset | None,
    options: Mapping[str, Any] | None,
    callbacks: list[Any] | None = None,
    **settings: Any,
) -> TermNet:
    """Build an untrained net with the defaults of the package and the options of the user.

    Parameters
    ----------
    kind : type
        Class of the net.
    module : nn.Module
        The network.
    valid : Dataset or None
        Held-out rows that are evaluated in each epoch.
    options : mapping or None
        Options of the user (`net_params`). They override `settings`; callbacks are added. An
        `LRScheduler` takes the place of the schedule of the estimator.
    callbacks : list, optional
        Callbacks of the estimator.
    **settings
        Further arguments of the net.
    """
    own = dict(options or {})
    refuse_own_arguments(own)
    if schedules(own.get("callbacks")):
        # Two schedules would overwrite each other's learning rate.
        if own.get("lr_schedule", "constant") != "constant":
            raise InvalidParameterError(
                f"net_params has both lr_schedule={own['lr_schedule']!r} and a callback "
                "LRScheduler: leave one of them out"
            )
        settings["lr_schedule"] = "constant"
    arguments: dict[str, Any] = {
        "optimizer": torch.optim.AdamW,
        "iterator_train": LesionLoader,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": as_is,
        "iterator_valid": LesionLoader,
        "iterator_valid__collate_fn": as_is,
        "train_split": None if valid is None else predefined_split(valid),
        **settings,
        "callbacks": _joined_callbacks(own.pop("callbacks", None), callbacks or []),
        **own,
    }
    return kind(module, **arguments)


def _joined_callbacks(users: Any, own: list[Any]) -> Any:
    """Return the callbacks of the user and of the estimator; none of either with "disable"."""
    if isinstance(users, str) and users == "disable":
        return users
    return [*check_callbacks(users), *own]


def history_of(net: TermNet) -> pd.DataFrame:
    """Return the terms per epoch as a data frame, with `valid_*` after the training terms."""
    names = [*net.term_names, *(f"valid_{name}" for name in net.term_names)]
    kept = [name for name in names if name in net.history[-1]]
    index = pd.RangeIndex(1, len(net.history) + 1, name="epoch")
    return pd.DataFrame(net.history[:, kept], columns=kept, index=index)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch within the context and restore its global random state afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Let torch compute on a number of threads within the context; None leaves it as it is.

    Gradients are sums over threads, and rounding in them grows with every step: after 100 epochs,
    latents of two numbers of threads differed by a tenth of their spread.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_weights(module: torch.nn.Module) -> None:
    """Raise a FloatingPointError if a weight is not finite.

    The loss of the last step may be finite while its gradient is not.
    """
    weights = module.named_parameters()
    bad = [name for name, weight in weights if not torch.isfinite(weight).all()]
    if bad:
        raise FloatingPointError(
            f"training diverged in its last step: the weights {bad[0]!r} are no longer finite "
            "numbers; lower lr or the weights of the terms"
        )


def resolve_device(device: str) -> str:
    """Return the name of the device; "auto" is CUDA if a GPU is available.

    Raises
    ------
    InvalidParameterError
        If this machine has no such device.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidParameterError(
            f"device={device!r} cannot be used on this machine ({reason}); 'auto' takes a GPU if "
            "there is one, and the CPU otherwise"
        ) from error
    return device


def restored_net(module: torch.nn.Module) -> TermNet:
    """Wrap the network of a saved model in a net that predicts on the CPU and cannot train."""
    net = TermNet(module, device="cpu", train_split=None).initialize()
    net.is_restored = True
    return net
