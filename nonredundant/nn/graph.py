"""The network of the lesion graph: attention between lesions, clinical attention, readout.

After Thiery et al. (MICCAI 2023, arXiv 2310.16863): nodes are lesions with their features,
edges have the distance of two lesions as their feature, GATv2 (Brody et al. 2022, arXiv 2105.14491)
updates the nodes, cross-attention weighs them by clinical variables, and a readout computes one
vector per patient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nonredundant.utils.optional import import_optional

#: Number of Gaussian basis functions of a distance.
N_BASIS = 8
#: Largest centre of a basis function, in units of the mean distance of the cohort.
_REACH = 3.0
#: Scale of the relevance of lesions before the softmax, so that a weight of one on a standardised
#: feature gives a sharp attention.
SHARPNESS = 3.0


class GraphBatch(NamedTuple):
    """A batch of patients.

    `nodes` are the features of the lesions, `patient` is the position of the patient of each
    lesion, and `source`, `target` and `distance` describe the edges between lesions.
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
    """Outputs per patient and attention weights.

    `lesion` and `pair` sum to one per patient (the edge of a lesion to itself is not a pair),
    `message` to one per target lesion, `clinical` to one per lesion.
    """

    logits: Tensor
    lesion: Tensor
    pair: Tensor
    message: Tensor
    clinical: Tensor


class Branches(NamedTuple):
    """Updates of the lesions by attention, with the attention weights.

    `context` is the update by clinical variables alone, `added` the whole update.
    """

    context: Tensor
    added: Tensor
    message: Tensor
    clinical: Tensor


# torch_geometric.utils.softmax and scatter return the same values as the two functions below in
# the same time (60 to 200,000 rows), but would require torch-geometric also for graphs without
# graph attention (n_layers=0).


def segment_softmax(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Compute the softmax over the rows of each segment, separately for each column."""
    index = segment.view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    top = values.new_full((n_segments, *values.shape[1:]), -torch.inf)
    # The maximum prevents overflow; it cancels and needs no gradient.
    top = top.scatter_reduce(0, index, values.detach(), "amax")
    weights = (values - top[segment]).exp()
    return weights / segment_sum(weights, segment, n_segments)[segment]


def segment_sum(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Compute the sum over the rows of each segment."""
    total = values.new_zeros((n_segments, *values.shape[1:]))
    return total.index_add(0, segment, values)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """Set a layer to zero, so that its branch initially has no effect."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class DistanceBasis(nn.Module):
    """Encode an edge: whether it joins a lesion to itself, its length and Gaussians of its length.

    A network learns a smooth threshold on the distance more easily from Gaussians than from the
    distance itself (Schütt et al. 2018, SchNet).
    """

    scale: Tensor
    centres: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.n_out = N_BASIS + 2
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("centres", torch.linspace(0.0, _REACH, N_BASIS))

    def forward(self, distance: Tensor, own: Tensor) -> Tensor:
        """Return the encoding (n_edges, N_BASIS + 2) of distances in mm."""
        length = (distance / self.scale)[:, None]
        width = _REACH / (N_BASIS - 1)
        basis = torch.exp(-0.5 * ((length - self.centres) / width) ** 2)
        own = own.to(length.dtype)[:, None]
        return torch.cat([own, torch.cat([length, basis], dim=1) * (1 - own)], dim=1)


class LesionAttention(nn.Module):
    """GATv2 layer whose messages include edge features, with a residual connection.

    In GATv2 edge features enter the attention weights only, so that the length of the edge that
    a lesion attends to would be lost.
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
        """Return the updated lesions and the attention of each edge, as the mean over heads."""
        message, (_index, alpha) = self.conv(
            x, index, edge_attr=edges, return_attention_weights=True
        )
        carried = self.edge_value(edges).view(len(edges), self.heads, -1) * alpha[:, :, None]
        message = message + segment_sum(carried.flatten(1), index[1], len(x))
        return x + self.out(message), alpha.mean(dim=1)


class ClinicalAttention(nn.Module):
    """Attention of lesions to the clinical variables of their patient, one token per variable."""

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
        """Return the updated lesions and the attention of each lesion to each variable."""
        tokens = clinical[:, :, None] * self.scale + self.shift
        shape = (*tokens.shape[:2], self.heads, -1)
        key, value = self.key(tokens).view(shape), self.value(tokens).view(shape)
        query = self.query(self.norm(x)).view(len(x), self.heads, -1)
        logits = torch.einsum("nhd,nchd->nch", query, key[patient]) / query.shape[-1] ** 0.5
        alpha = logits.softmax(dim=1)
        message = torch.einsum("nch,nchd->nhd", alpha, value[patient]).flatten(1)
        return x + self.out(message), alpha.mean(dim=2)


class Readout(nn.Module):
    """Weigh the lesions of a patient, and pairs of them, by one relevance per lesion.

    The relevance of a lesion depends on its own features and the clinical variables, not on its
    neighbours, so that its weight can be interpreted. The weight of a pair is the product of the
    weights of its lesions: the distance of the two hottest lesions is the length of one pair.
    """

    def __init__(self, n_features: int, size: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        # A bias would cancel. Initialised to zero, all lesions have the same weight.
        self.own = zeroed(nn.Linear(n_features, 1, bias=False))
        self.context = zeroed(nn.Linear(size, 1, bias=False))

    def relevance(self, nodes: Tensor, context: Tensor) -> Tensor:
        """Compute the relevance of each lesion; `context` is its update by clinical variables."""
        if self.kind != "attention":
            return nodes.new_zeros(len(nodes))
        return SHARPNESS * (self.own(nodes) + self.context(context))[:, 0]

    def pairs(self, relevance: Tensor, batch: GraphBatch) -> Tensor:
        """Compute the weight of each edge; 0 for the edge of a lesion to itself."""
        both = relevance[batch.source] + relevance[batch.target]
        pairs = torch.nonzero(batch.source != batch.target)[:, 0]
        whose = batch.patient[batch.target[pairs]]
        weights = segment_softmax(both[pairs], whose, len(batch.clinical))
        return relevance.new_zeros(len(both)).index_copy(0, pairs, weights)

    def pool(self, x: Tensor, relevance: Tensor, batch: GraphBatch) -> tuple[Tensor, Tensor]:
        """Pool the vectors of lesions to one per patient; return also the weights of lesions."""
        n_patients, patient = len(batch.clinical), batch.patient
        if self.kind == "max":
            return maximum(x, patient, n_patients)
        lesion = segment_softmax(relevance, patient, n_patients)
        return segment_sum(lesion[:, None] * x, patient, n_patients), lesion


def maximum(x: Tensor, patient: Tensor, n_patients: int) -> tuple[Tensor, Tensor]:
    """Return the maximum per channel; the weight of a lesion is its share of the maxima."""
    top = x.new_full((n_patients, x.shape[1]), -torch.inf)
    top = top.scatter_reduce(0, patient[:, None].expand_as(x), x, "amax")
    holds = (x.detach() == top.detach()[patient]).to(x.dtype)
    holds = holds / segment_sum(holds, patient, n_patients)[patient]
    return top, holds.mean(dim=1)


class LesionGraphNet(nn.Module):
    """Network from lesions and clinical variables to `n_outputs` numbers per patient.

    A regression on the features of the relevant lesions, on their distances and on the clinical
    variables, plus two branches, graph attention and cross-attention, that update the lesions. The
    branches start from zero, since a few hundred patients are too few for a deep network.
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
        """Compute the updates of the lesions by cross-attention and graph attention."""
        index = torch.stack([batch.source, batch.target])
        # Dropout of features, not only of hidden units, keeps the branches from fitting noise.
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
        """Compute the outputs and the weights of lesions and pairs, given the branches."""
        relevance = self.readout.relevance(batch.nodes, context)
        pooled, lesion = self.readout.pool(torch.cat([batch.nodes, added], 1), relevance, batch)
        pair = self.readout.pairs(relevance, batch)
        n_features, n_edge = batch.nodes.shape[1], self.basis.n_out
        by_lesion, by_pair, by_clinic = self.regression.weight.split(
            [n_features, n_edge, self.n_clinical], dim=1
        )
        # Averaging after the product with the weights needs only one column per output.
        from_pairs = segment_sum(
            pair[:, None] * (edges @ by_pair.T), batch.patient[batch.target], len(batch.clinical)
        )
        logits = self.regression.bias + pooled[:, :n_features] @ by_lesion.T + from_pairs
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
