"""NumPy networks of the audit: perceptrons of fixed size, one per fold, trained together.

They evaluate features after training, and are refitted on permuted rows for the null. The torch
network of `nn.density_ratio` is another one: it is trained beside a VAE, which needs its gradient
in d.
"""

# NumPy rather than torch, measured with the same architecture, optimiser, folds and stopping rule
# (torch 2.13: bmm over the folds, fused AdamW), one thread, CPU seconds for 201 row orders of
# 16 + 16 columns; "batched" trains 11 orders at once:
#
#                      n = 40               n = 200              n = 600
#                 NumPy torch batched  NumPy torch batched  NumPy torch batched
# discriminator     8.9  25.2     9.0   16.8  32.4    20.9   45.0  65.4    64.3
# perceptron        3.8  12.6     3.5    9.3  16.3    12.0   23.9  29.1    35.5
#
# The networks are so small that the overhead of autograd exceeds the arithmetic. An audit without
# torch also saves its import, of about two seconds.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nonredundant.metrics.information import best_temperature

_BETAS = (0.9, 0.999)
#: Factors by which logits may be tempered. Without 0, which would make all pairs equal.
TEMPERATURES = np.linspace(0.05, 2, 40)


class Perceptrons:
    """Replicas of a network with one hidden layer of rectified units, trained by Adam.

    A linear path from inputs to outputs leaves the hidden units to the nonlinear part. With
    `output_scale` 0 an untrained network predicts zero.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        n_replicas: int,
        sizes: tuple[int, int, int],
        *,
        output_scale: float,
    ) -> None:
        n_in, n_hidden, n_out = sizes
        shapes = [(n_in, n_hidden), (1, n_hidden), (n_hidden, n_out), (1, n_out), (n_in, n_out)]
        total = sum(a * b for a, b in shapes)
        self.flat = np.zeros((n_replicas, total), dtype=np.float32)
        self.gradient = np.zeros_like(self.flat)
        self._mean, self._square, self._steps = (
            np.zeros_like(self.flat),
            np.zeros_like(self.flat),
            0,
        )
        self.weights, self.slopes, start = [], [], 0
        for shape in shapes:
            stop = start + shape[0] * shape[1]
            self.weights.append(self.flat[:, start:stop].reshape(n_replicas, *shape))
            self.slopes.append(self.gradient[:, start:stop].reshape(n_replicas, *shape))
            start = stop
        self.weights[0][:] = rng.normal(0, np.sqrt(2 / n_in), self.weights[0].shape)
        for layer in (2, 4):
            deviation = output_scale * np.sqrt(0.5 / shapes[layer][0])
            self.weights[layer][:] = rng.normal(0, deviation, self.weights[layer].shape)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute hidden units and outputs of shape (n_replicas, n, size)."""
        w1, b1, w2, b2, skip = self.weights
        hidden = x @ w1
        hidden += b1
        np.maximum(hidden, 0, out=hidden)
        return hidden, hidden @ w2 + x @ skip + b2

    def backward(self, x: np.ndarray, hidden: np.ndarray, slope: np.ndarray) -> None:
        """Store the gradient of a loss whose derivative in the outputs is `slope`."""
        w2 = self.weights[2]
        np.matmul(hidden.swapaxes(1, 2), slope, out=self.slopes[2])
        np.sum(slope, axis=1, keepdims=True, out=self.slopes[3])
        np.matmul(x.swapaxes(-1, -2), slope, out=self.slopes[4])
        inner = slope @ w2.swapaxes(1, 2)
        inner *= hidden > 0
        np.matmul(x.swapaxes(-1, -2), inner, out=self.slopes[0])
        np.sum(inner, axis=1, keepdims=True, out=self.slopes[1])

    def step(self, lr: float, decay: float) -> None:
        """Apply one step of Adam with decoupled weight decay."""
        self._steps += 1
        b1, b2 = _BETAS
        self._mean += (1 - b1) * (self.gradient - self._mean)
        self._square += (1 - b2) * (self.gradient**2 - self._square)
        rate = lr * np.sqrt(1 - b2**self._steps) / (1 - b1**self._steps)
        self.flat *= 1 - lr * decay
        self.flat -= rate * self._mean / (np.sqrt(self._square) + 1e-8)


@dataclass
class Split:
    """Rows of one fold: for fitting, for early stopping, for the test."""

    fit: np.ndarray
    stop: np.ndarray
    test: np.ndarray


def splits(folds: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> list[Split]:
    """Hold out a fifth of the training rows of each fold for early stopping."""
    result = []
    for train, test in folds:
        mixed = rng.permutation(train)
        n_stop = max(2, len(train) // 5)
        result.append(Split(np.sort(mixed[n_stop:]), np.sort(mixed[:n_stop]), test))
    return result


def out_of_fold(
    x: np.ndarray,
    y: np.ndarray,
    parts: list[Split],
    rng: np.random.Generator,
    *,
    n_hidden: int = 64,
    n_steps: int = 150,
    lr: float = 5e-3,
    decay: float = 0.1,
) -> np.ndarray:
    """Predict y from x out of fold, by one network per fold with early stopping."""
    x, y = x.astype(np.float32), y.astype(np.float32)
    n, replicas = len(x), len(parts)
    weight = np.zeros((replicas, n, 1), dtype=np.float32)
    for r, part in enumerate(parts):
        weight[r, part.fit] = 1 / (len(part.fit) * np.mean(y**2) * y.shape[1])
    offset = np.stack([y[part.fit].mean(axis=0) for part in parts])[:, None]
    nets = Perceptrons(rng, replicas, (x.shape[1], n_hidden, y.shape[1]), output_scale=0)
    best = np.full(replicas, np.inf)
    predicted = np.empty_like(y)
    for step in range(n_steps + 1):
        hidden, out = nets.forward(x)
        error = out + offset - y
        if step % 5 == 0:
            for r, part in enumerate(parts):
                loss = np.sum(error[r, part.stop] ** 2)
                if loss < best[r]:
                    best[r] = loss
                    predicted[part.test] = out[r, part.test] + offset[r]
        error *= weight
        nets.backward(x, hidden, error)
        nets.step(lr, decay)
    return predicted


def cross_logits(
    h: np.ndarray,
    d: np.ndarray,
    parts: list[Split],
    rng: np.random.Generator,
    *,
    n_hidden: int = 64,
    n_embedded: int = 16,
    block: int = 50,
    n_steps: int = 150,
    lr: float = 5e-3,
    decay: float = 0.1,
) -> list[np.ndarray]:
    """Return the held-out logits of "row i of h belongs to row j of d", per fold.

    The discriminator is log D/(1-D) = f(h)·g(d) with networks f and g. The logistic loss contrasts
    true pairs with all other pairs in a block of training rows, so that no pair mixes training and
    held-out rows. The rows for early stopping also set the temperature of the logits.
    """
    h, d = h.astype(np.float32), d.astype(np.float32)
    replicas = len(parts)
    # Logits start near zero: where nothing can be learned, the first ones are kept.
    f = Perceptrons(rng, replicas, (h.shape[1], n_hidden, n_embedded), output_scale=0.1)
    g = Perceptrons(rng, replicas, (d.shape[1], n_hidden, n_embedded), output_scale=0.1)
    best = np.full(replicas, np.inf)
    kept: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0), np.empty(0))] * replicas
    n_fit = min(len(part.fit) for part in parts)
    block = min(block, n_fit)
    n_blocks = n_fit // block
    for step in range(n_steps + 1):
        if step % 10 == 0:
            _keep_best(f, g, h, d, parts, best, kept)
        rows = np.stack([rng.permutation(part.fit)[: n_blocks * block] for part in parts])
        a, b = h[rows], d[rows]
        hidden_f, out_f = f.forward(a)
        hidden_g, out_g = g.forward(b)
        u = out_f.reshape(replicas * n_blocks, block, n_embedded)
        v = out_g.reshape(replicas * n_blocks, block, n_embedded)
        slope = _logistic_slope(u @ v.swapaxes(1, 2), n_blocks)
        f.backward(a, hidden_f, (slope @ v).reshape(out_f.shape))
        g.backward(b, hidden_g, (slope.swapaxes(1, 2) @ u).reshape(out_g.shape))
        f.step(lr, decay)
        g.step(lr, decay)
    return [_tempered(stop, test) for stop, test in kept]


def _logistic_slope(logits: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the derivative of the balanced logistic loss with respect to the logits of blocks."""
    size = logits.shape[-1]
    np.clip(logits, -30, 30, out=logits)
    np.negative(logits, out=logits)
    np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
    diagonal = np.arange(size)
    true = (logits[:, diagonal, diagonal] - 1) / (size * n_blocks)
    logits /= size * (size - 1) * n_blocks
    logits[:, diagonal, diagonal] = true
    return logits


def _keep_best(
    f: Perceptrons,
    g: Perceptrons,
    h: np.ndarray,
    d: np.ndarray,
    parts: list[Split],
    best: np.ndarray,
    kept: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Store the logits of the stopping and test rows of each fold whose stopping loss improved."""
    u, v = f.forward(h)[1], g.forward(d)[1]
    for r, part in enumerate(parts):
        logits = u[r, part.stop] @ v[r, part.stop].T
        true = np.diagonal(logits)
        other = logits[~np.eye(len(logits), dtype=bool)]
        loss = np.mean(np.logaddexp(0, -true)) + np.mean(np.logaddexp(0, other))
        if loss < best[r]:
            best[r] = loss
            kept[r] = logits, u[r, part.test] @ v[r, part.test].T


def _tempered(stop: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the test logits times the temperature that suits the stopping rows best."""
    same = np.eye(len(stop), dtype=bool)
    return test.astype(float) * best_temperature(stop[same], stop[~same], TEMPERATURES)
