"""A patient as a graph: attention between lesions, clinical variables that weigh them, readout.

After Thiery et al. (MICCAI 2023, arXiv 2310.16863): nodes are lesions with their features,
edges carry the distance between them, GATv2 (Brody et al. 2022, arXiv 2105.14491) updates the
nodes, cross-attention lets clinical variables weigh them, a readout makes one vector a patient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nonredundant.utils.optional import import_optional

#: Gaussians that a distance is spread over.
N_BASIS = 8
#: They lie between 0 and so many times the cohort's mean distance.
_REACH = 3.0
#: Scale of the lesions' relevance before the softmax, so that a weight of one on a standardised
#: feature is a sharp attention.
SHARPNESS = 3.0


class GraphBatch(NamedTuple):
    """A batch of patients.

    `nodes` are lesions, `patient` is the patient of each lesion, and `source`, `target` and
    `distance` are the edges between lesions.
    """

    clinical: Tensor
    nodes: Tensor
    patient: Tensor
    source: Tensor
    target: Tensor
    distance: Tensor
    label: Tensor

    def to(self, device: Any) -> GraphBatch:
        """Return the batch on a device."""
        return GraphBatch(*(part.to(device) for part in self))


class GraphOutput(NamedTuple):
    """Outputs a patient, and where the network looked.

    `lesion` and `pair` sum to one a patient (a lesion's edge to itself is no pair), `message`
    to one a target, `clinical` to one a lesion.
    """

    logits: Tensor
    lesion: Tensor
    pair: Tensor
    message: Tensor
    clinical: Tensor


class Branches(NamedTuple):
    """What attention adds to the lesions: by the clinical variables alone, and in all."""

    context: Tensor
    added: Tensor
    message: Tensor
    clinical: Tensor


# torch_geometric.utils.softmax and scatter return the same values as the two functions below in
# the same time (60 to 200,000 rows), but would make torch-geometric necessary for graphs without
# graph attention (n_layers=0), which run without it.


def segment_softmax(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Return the softmax over the rows of each segment, column by column."""
    index = segment.view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    top = values.new_full((n_segments, *values.shape[1:]), -torch.inf)
    # The maximum only guards against overflow: it cancels, and needs no gradient.
    top = top.scatter_reduce(0, index, values.detach(), "amax")
    weights = (values - top[segment]).exp()
    return weights / segment_sum(weights, segment, n_segments)[segment]


def segment_sum(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Return the sum over the rows of each segment."""
    total = values.new_zeros((n_segments, *values.shape[1:]))
    return total.index_add(0, segment, values)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """Return the layer set to zero: a branch that starts without effect and earns it."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class DistanceBasis(nn.Module):
    """Describe an edge: is it a lesion's own, how long is it, and Gaussians of its length.

    A network reads a smooth threshold on the distance more easily from Gaussians than from the
    number (Schütt et al. 2018, SchNet).
    """

    scale: Tensor
    centres: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.n_out = N_BASIS + 2
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("centres", torch.linspace(0.0, _REACH, N_BASIS))

    def forward(self, distance: Tensor, own: Tensor) -> Tensor:
        """Return (n_edges, N_BASIS + 2) numbers of the distances in mm."""
        length = (distance / self.scale)[:, None]
        width = _REACH / (N_BASIS - 1)
        basis = torch.exp(-0.5 * ((length - self.centres) / width) ** 2)
        own = own.to(length.dtype)[:, None]
        return torch.cat([own, torch.cat([length, basis], dim=1) * (1 - own)], dim=1)


class LesionAttention(nn.Module):
    """One GATv2 layer whose messages also carry the edge, with a residual connection.

    In GATv2 an edge's features steer the attention alone; the length of the edge that a lesion
    attends to would be lost.
    """

    def __init__(self, size: int, heads: int, edge_size: int, dropout: float) -> None:
        super().__init__()
        geometric = import_optional(
            "torch_geometric.nn", extra="graph", purpose="LesionGraphClassifier"
        )
        self.conv = geometric.GATv2Conv(
            size, size // heads, heads=heads, edge_dim=edge_size, add_self_loops=False
        )
        self.edge_value = nn.Linear(edge_size, size, bias=False)
        self.out = nn.Sequential(nn.GELU(), nn.Dropout(dropout), zeroed(nn.Linear(size, size)))
        self.heads = heads

    def forward(self, x: Tensor, index: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updated lesions and each edge's attention, the mean over heads."""
        message, (_index, alpha) = self.conv(
            x, index, edge_attr=edges, return_attention_weights=True
        )
        carried = self.edge_value(edges).view(len(edges), self.heads, -1) * alpha[:, :, None]
        message = message + segment_sum(carried.flatten(1), index[1], len(x))
        return x + self.out(message), alpha.mean(dim=1)


class ClinicalAttention(nn.Module):
    """Lesions attend to the patient's clinical variables, each a token of its own."""

    def __init__(self, size: int, heads: int, n_clinical: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.scale = nn.Parameter(torch.randn(n_clinical, size) / size**0.5)
        self.shift = nn.Parameter(torch.randn(n_clinical, size) / size**0.5)
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.out = nn.Sequential(nn.Dropout(dropout), zeroed(nn.Linear(size, size)))
        self.heads = heads

    def forward(self, x: Tensor, clinical: Tensor, patient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updated lesions, and each variable's attention by lesion."""
        tokens = clinical[:, :, None] * self.scale + self.shift
        shape = (*tokens.shape[:2], self.heads, -1)
        key, value = self.key(tokens).view(shape), self.value(tokens).view(shape)
        query = self.query(self.norm(x)).view(len(x), self.heads, -1)
        logits = torch.einsum("nhd,nchd->nch", query, key[patient]) / query.shape[-1] ** 0.5
        alpha = logits.softmax(dim=1)
        message = torch.einsum("nch,nchd->nhd", alpha, value[patient]).flatten(1)
        return x + self.out(message), alpha.mean(dim=2)


class Readout(nn.Module):
    """Weigh the lesions of a patient and their pairs, by the same relevance.

    A lesion's relevance comes from its own features and the clinical variables, not from its
    neighbours', so that its weight speaks of it alone. A pair weighs as the product of its
    lesions: "how far apart are the two hottest" is the length of one such pair.
    """

    def __init__(self, n_features: int, size: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        # Without a bias, as it cancels; from zero, all lesions weigh the same.
        self.own = zeroed(nn.Linear(n_features, 1, bias=False))
        self.context = zeroed(nn.Linear(size, 1, bias=False))

    def relevance(self, nodes: Tensor, context: Tensor) -> Tensor:
        """Return each lesion's relevance; `context` is what the clinical variables add."""
        if self.kind != "attention":
            return nodes.new_zeros(len(nodes))
        return SHARPNESS * (self.own(nodes) + self.context(context))[:, 0]

    def pairs(self, relevance: Tensor, batch: GraphBatch) -> Tensor:
        """Return the weight of each edge; a lesion's edge to itself is no pair and has none."""
        both = relevance[batch.source] + relevance[batch.target]
        pairs = torch.nonzero(batch.source != batch.target)[:, 0]
        whose = batch.patient[batch.target[pairs]]
        weights = segment_softmax(both[pairs], whose, len(batch.clinical))
        return relevance.new_zeros(len(both)).index_copy(0, pairs, weights)

    def pool(self, x: Tensor, relevance: Tensor, batch: GraphBatch) -> tuple[Tensor, Tensor]:
        """Return one vector a patient of its lesions' vectors, and the lesions' weights."""
        n_patients, patient = len(batch.clinical), batch.patient
        if self.kind == "max":
            return maximum(x, patient, n_patients)
        lesion = segment_softmax(relevance, patient, n_patients)
        return segment_sum(lesion[:, None] * x, patient, n_patients), lesion


def maximum(x: Tensor, patient: Tensor, n_patients: int) -> tuple[Tensor, Tensor]:
    """Return the maximum a channel; a lesion weighs as much as it holds of the maxima."""
    top = x.new_full((n_patients, x.shape[1]), -torch.inf)
    top = top.scatter_reduce(0, patient[:, None].expand_as(x), x, "amax")
    holds = (x.detach() == top.detach()[patient]).to(x.dtype)
    holds = holds / segment_sum(holds, patient, n_patients)[patient]
    return top, holds.mean(dim=1)


class LesionGraphNet(nn.Module):
    """Lesions and clinical variables of patients to `n_outputs` numbers each.

    A regression on the features of the lesions that matter, on how far apart they are and on
    the clinical variables, plus what graph attention and cross-attention add to the lesions:
    branches that start from zero, as a few hundred patients feed no deep network.
    """

    def __init__(
        self,
        n_features: int,
        n_clinical: int,
        n_outputs: int,
        *,
        hidden_size: int,
        n_layers: int,
        heads: int,
        clinical: str,
        readout: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.n_clinical = 0 if clinical == "none" else n_clinical
        self.basis = DistanceBasis()
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.Linear(n_features, hidden_size)
        self.layers = nn.ModuleList(
            LesionAttention(hidden_size, heads, self.basis.n_out, dropout) for _ in range(n_layers)
        )
        self.cross = None
        if clinical == "cross-attention" and n_clinical:
            self.cross = ClinicalAttention(hidden_size, heads, n_clinical, dropout)
        self.readout = Readout(n_features, hidden_size, readout)
        n_direct = n_features + self.basis.n_out + self.n_clinical
        self.regression = zeroed(nn.Linear(n_direct, n_outputs))
        self.head = nn.Linear(hidden_size, n_outputs, bias=False)

    def branches(self, batch: GraphBatch, edges: Tensor) -> Branches:
        """Return what cross-attention and graph attention add to the lesions."""
        index = torch.stack([batch.source, batch.target])
        # Dropping features, not only hidden units, keeps the branches from settling on noise.
        x = self.encoder(self.dropout(batch.nodes))
        y, messages, clinical = x, [], x.new_zeros((len(x), 0))
        if self.cross is not None:
            y, clinical = self.cross(x, batch.clinical, batch.patient)
        context = y - x
        for layer in self.layers:
            y, alpha = layer(y, index, edges)
            messages.append(alpha)
        message = torch.stack(messages).mean(dim=0) if messages else x.new_zeros(len(edges))
        return Branches(context, y - x, message, clinical)

    def read_out(
        self, batch: GraphBatch, edges: Tensor, context: Tensor, added: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs, and the weights of lesions and pairs, given what branches add."""
        relevance = self.readout.relevance(batch.nodes, context)
        pooled, lesion = self.readout.pool(torch.cat([batch.nodes, added], 1), relevance, batch)
        pair = self.readout.pairs(relevance, batch)
        n_features, n_edge = batch.nodes.shape[1], self.basis.n_out
        by_lesion, by_pair, by_clinic = self.regression.weight.split(
            [n_features, n_edge, self.n_clinical], dim=1
        )
        # The mean of pairs after the weights of their lengths: as many columns as outputs.
        told = segment_sum(
            pair[:, None] * (edges @ by_pair.T), batch.patient[batch.target], len(batch.clinical)
        )
        logits = self.regression.bias + pooled[:, :n_features] @ by_lesion.T + told
        logits = logits + self.head(pooled[:, n_features:])
        if self.n_clinical:
            logits = logits + batch.clinical @ by_clinic.T
        return logits, lesion, pair

    def forward(self, batch: GraphBatch) -> GraphOutput:
        """Return the outputs and the attention of a batch."""
        edges = self.basis(batch.distance, batch.source == batch.target)
        context, added, message, clinical = self.branches(batch, edges)
        logits, lesion, pair = self.read_out(batch, edges, context, added)
        return GraphOutput(logits, lesion, pair, message, clinical)
