"""A patient as a graph: attention between lesions, clinical variables that weigh them, readout.

After Thiery et al. (MICCAI 2023, arXiv 2310.16863): nodes are lesions with their features,
edges carry the distance between them, GATv2 (Brody et al. 2022, arXiv 2105.14491) updates the
nodes, cross-attention lets clinical variables weigh them, a readout makes one vector a patient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nonredundant._optional import import_optional

#: Gaussians that a distance is spread over.
N_BASIS = 8
#: They lie between 0 and so many times the cohort's mean distance.
_REACH = 3.0


class GraphBatch(NamedTuple):
    """Patients on their way through the network.

    `nodes` are lesions, `patient` says whose; `source`, `target` and `distance` are edges.
    """

    clinical: Tensor
    nodes: Tensor
    patient: Tensor
    source: Tensor
    target: Tensor
    distance: Tensor
    label: Tensor


class GraphOutput(NamedTuple):
    """Outputs a patient, and where the network looked.

    `lesion` sums to one a patient, `edge` to one a target, `clinical` to one a lesion.
    """

    logits: Tensor
    lesion: Tensor
    edge: Tensor
    clinical: Tensor


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
    attends to would be lost, and with it "how far apart are the two hottest lesions".
    """

    def __init__(self, size: int, heads: int, edge_size: int, dropout: float) -> None:
        super().__init__()
        geometric = import_optional(
            "torch_geometric.nn", extra="graph", purpose="LesionGraphClassifier"
        )
        self.norm = nn.LayerNorm(size)
        self.conv = geometric.GATv2Conv(
            size, size // heads, heads=heads, edge_dim=edge_size, add_self_loops=False
        )
        self.edge_value = nn.Linear(edge_size, size, bias=False)
        self.out = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(size, size))
        self.heads = heads

    def forward(self, x: Tensor, index: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updated lesions and each edge's attention, the mean over heads."""
        message, (_index, alpha) = self.conv(
            self.norm(x), index, edge_attr=edges, return_attention_weights=True
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
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, size))
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
    """Make one vector a patient of its lesions, and say how much each lesion weighs."""

    def __init__(self, size: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.norm = nn.LayerNorm(size)
        if kind == "attention":
            self.gate = nn.Sequential(nn.Linear(size, size), nn.Sigmoid())
            self.content = nn.Sequential(nn.Linear(size, size), nn.Tanh())
            self.score = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor, patient: Tensor, n_patients: int) -> tuple[Tensor, Tensor]:
        """Return (n_patients, size) vectors and the lesions' weights, which sum to one."""
        x = self.norm(x)
        if self.kind == "max":
            return self._maximum(x, patient, n_patients)
        if self.kind == "attention":  # gated attention, Ilse et al. 2018, equation 9
            scores = self.score(self.content(x) * self.gate(x))
            weights = segment_softmax(scores, patient, n_patients)
        else:
            counts = segment_sum(torch.ones_like(x[:, :1]), patient, n_patients)
            weights = 1 / counts[patient]
        return segment_sum(weights * x, patient, n_patients), weights[:, 0]

    @staticmethod
    def _maximum(x: Tensor, patient: Tensor, n_patients: int) -> tuple[Tensor, Tensor]:
        """Return the maximum a channel; a lesion weighs as much as it holds of the maxima."""
        top = x.new_full((n_patients, x.shape[1]), -torch.inf)
        top = top.scatter_reduce(0, patient[:, None].expand_as(x), x, "amax")
        holds = (x.detach() == top.detach()[patient]).to(x.dtype)
        holds = holds / segment_sum(holds, patient, n_patients)[patient]
        return top, holds.mean(dim=1)


class LesionGraphNet(nn.Module):
    """Lesions and clinical variables of patients to `n_outputs` numbers each."""

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
        self.encoder = nn.Sequential(
            nn.Linear(n_features, hidden_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, hidden_size),
        )
        self.layers = nn.ModuleList(
            LesionAttention(hidden_size, heads, self.basis.n_out, dropout) for _ in range(n_layers)
        )
        self.cross = None
        if clinical == "cross-attention" and n_clinical:
            self.cross = ClinicalAttention(hidden_size, heads, n_clinical, dropout)
        self.readout = Readout(hidden_size, readout)
        self.head = nn.Sequential(
            nn.Linear(hidden_size + self.n_clinical, hidden_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, n_outputs),
        )

    def forward(self, batch: GraphBatch) -> GraphOutput:
        """Return the outputs and the attention of a batch."""
        n_patients = len(batch.clinical)
        index = torch.stack([batch.source, batch.target])
        edges = self.basis(batch.distance, batch.source == batch.target)
        x = self.encoder(batch.nodes)
        edge_weights = []
        for layer in self.layers:
            x, alpha = layer(x, index, edges)
            edge_weights.append(alpha)
        clinical_weights = x.new_zeros((len(x), 0))
        if self.cross is not None:
            x, clinical_weights = self.cross(x, batch.clinical, batch.patient)
        vector, lesion_weights = self.readout(x, batch.patient, n_patients)
        if self.n_clinical:
            vector = torch.cat([vector, batch.clinical], dim=1)
        edge = torch.stack(edge_weights).mean(dim=0) if edge_weights else x.new_zeros(len(edges))
        return GraphOutput(self.head(vector), lesion_weights, edge, clinical_weights)
