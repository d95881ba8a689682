"""Networks for text, and for images with text, as Gluon and GluonNLP users write them; random weights, tiny."""

from __future__ import annotations

from typing import Any

from gluon_lifted.mx import HybridBlock, gluon, nn

UNITS, HEADS, VOCABULARY = 8, 2, 11


class SelfAttention(HybridBlock):
    """Self-attention of (T, N, C) with one product for queries, keys and values, as in GluonNLP 0.10."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            for name in ("query", "key", "value"):
                setattr(self, f"{name}_weight", self.params.get(f"{name}_weight", shape=(UNITS, UNITS)))
                setattr(self, f"{name}_bias", self.params.get(f"{name}_bias", shape=(UNITS,), init="normal"))
            self.drop = nn.Dropout(0.1)

    def hybrid_forward(self, F: Any, x: Any, lengths: Any, **parameters: Any) -> Any:
        names = ("query", "key", "value")
        per_head = [parameters[f"{name}_weight"].reshape(shape=(HEADS, -1, 0), reverse=True) for name in names]
        weight = F.concat(*per_head, dim=-2).reshape(shape=(-1, 0), reverse=True)
        biases = [parameters[f"{name}_bias"].reshape(shape=(HEADS, -1)) for name in names]
        bias = F.stack(*biases, axis=1).reshape(-1)
        projections = F.FullyConnected(x, weight, bias, num_hidden=3 * UNITS, no_bias=False, flatten=False)
        scores = F.contrib.interleaved_matmul_selfatt_qk(projections, heads=HEADS)
        lengths = F.broadcast_axis(F.expand_dims(lengths, axis=1), axis=1, size=HEADS)
        lengths = lengths.reshape(shape=(-1, 0), reverse=True)
        shares = self.drop(F.softmax(scores, length=lengths, use_length=True, axis=-1))
        return F.contrib.interleaved_matmul_selfatt_valatt(projections, shares, heads=HEADS)


class EncoderCell(HybridBlock):
    """Attention and a feed-forward layer, each with a sum and a norm behind it."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.attention = SelfAttention()
            self.projection = nn.Dense(UNITS, flatten=False)
            self.norm = nn.LayerNorm(epsilon=1e-12)
            self.inner = nn.Dense(2 * UNITS, flatten=False)
            self.gelu = nn.GELU()
            self.outer = nn.Dense(UNITS, flatten=False)
            self.last_norm = nn.LayerNorm(epsilon=1e-12)

    def hybrid_forward(self, F: Any, x: Any, lengths: Any) -> Any:
        x = self.norm(self.projection(self.attention(x, lengths)) + x)
        return self.last_norm(self.outer(self.gelu(self.inner(x))) + x)


class Bert(HybridBlock):
    """BERT as GluonNLP 0.10 writes it: token ids (N, T), token types (N, T), valid lengths (N,)."""

    def __init__(self, length: int) -> None:
        super().__init__()
        with self.name_scope():
            self.words = nn.Embedding(VOCABULARY, UNITS)
            self.types = nn.Embedding(2, UNITS)
            self.position_weight = self.params.get("position_weight", shape=(length + 2, UNITS))
            self.norm = nn.LayerNorm(epsilon=1e-12)
            self.cells = nn.HybridSequential()
            self.cells.add(EncoderCell(), EncoderCell())
            self.pooler = nn.Dense(UNITS, activation="tanh", flatten=False)
        self.length = length

    def hybrid_forward(self, F: Any, tokens: Any, types: Any, valid_length: Any, position_weight: Any) -> Any:
        x = F.transpose(self.words(tokens) + self.types(types), axes=(1, 0, 2))
        steps = F.contrib.arange_like(x, axis=0)
        ones = F.ones_like(steps)
        mask = F.broadcast_lesser(F.reshape(steps, shape=(1, -1)), F.reshape(valid_length, shape=(-1, 1)))
        lengths = F.broadcast_mul(F.reshape(valid_length, shape=(-1, 1)), F.reshape(ones, shape=(1, -1)))
        lengths = F.cast(lengths, "int32")
        positions = F.Embedding(steps, position_weight, input_dim=self.length + 2, output_dim=UNITS)
        x = self.norm(F.broadcast_add(x, F.expand_dims(positions, axis=1)))
        for cell in self.cells:
            x = cell(x, lengths)
        x = F.SequenceMask(x, sequence_length=valid_length, use_sequence_length=True, axis=0)
        x = F.broadcast_mul(F.transpose(x, axes=(1, 0, 2)), F.expand_dims(mask, axis=2))
        first = F.squeeze(F.slice_axis(x, axis=1, begin=0, end=1), axis=1)
        return x, self.pooler(first)


class LstmClassifier(HybridBlock):
    """Two layers of LSTM in both directions over token ids (N, T), and the mean over each text's length."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.words = nn.Embedding(VOCABULARY, 6)
            self.encoder = gluon.rnn.LSTM(5, num_layers=2, bidirectional=True, layout="NTC", dropout=0.2)
            self.classes = nn.Dense(3)

    def hybrid_forward(self, F: Any, tokens: Any, valid_length: Any) -> Any:
        states = self.encoder(self.words(tokens))
        masked = F.SequenceMask(states, valid_length, use_sequence_length=True, axis=1)
        return self.classes(F.broadcast_div(F.sum(masked, axis=1), F.expand_dims(valid_length, axis=1)))


class GruStates(HybridBlock):
    """A GRU over (T, N, C) that takes the first state and returns the last."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.encoder = gluon.rnn.GRU(4, num_layers=2, layout="TNC")

    def hybrid_forward(self, F: Any, x: Any, state: Any) -> Any:
        output, (last,) = self.encoder(x, [state])
        return F.SequenceLast(output), last


class Unrolled(HybridBlock):
    """Cells of all three kinds, one after the other, unrolled over (N, T, C)."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        with self.name_scope():
            self.cells = gluon.rnn.HybridSequentialRNNCell()
            self.cells.add(gluon.rnn.LSTMCell(4))
            self.cells.add(gluon.rnn.GRUCell(3))
            self.cells.add(gluon.rnn.ResidualCell(gluon.rnn.RNNCell(3)))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        outputs, _ = self.cells.unroll(self.length, x, layout="NTC", merge_outputs=True)
        return outputs


class TextCnn(HybridBlock):
    """Convolutions of two widths over embeddings (N, T), and the largest value of each channel."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.words = nn.Embedding(VOCABULARY, 6)
            self.narrow, self.wide = nn.Conv1D(4, 2, activation="relu"), nn.Conv1D(4, 3, activation="relu")
            self.classes = nn.Dense(3)

    def hybrid_forward(self, F: Any, tokens: Any) -> Any:
        x = F.transpose(self.words(tokens), axes=(0, 2, 1))
        return self.classes(F.concat(*(F.max(layer(x), axis=2) for layer in (self.narrow, self.wide)), dim=1))


class ImageText(HybridBlock):
    """Embeddings of an image and a text of unit length, and their similarity."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(nn.Conv2D(4, 3, activation="relu"), nn.GlobalAvgPool2D(), nn.Dense(5))
            self.words = nn.Embedding(VOCABULARY, 6)
            self.projection = nn.Dense(5)

    def hybrid_forward(self, F: Any, images: Any, tokens: Any) -> Any:
        image = F.L2Normalization(self.features(images))
        text = F.L2Normalization(self.projection(F.mean(self.words(tokens), axis=1)))
        return image, text, F.sum(image * text, axis=1)


class ContrastiveLogits(ImageText):
    """The similarity of every image with every text of the batch, which no batch of another size can have."""

    def hybrid_forward(self, F: Any, images: Any, tokens: Any) -> Any:
        image, text, _ = super().hybrid_forward(F, images, tokens)
        return F.dot(image, text, transpose_b=True)
