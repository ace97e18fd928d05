"""A word-level LSTM language model as a plain PyTorch module."""

from torch import nn


class LSTMLanguageModel(nn.Module):
    """Embedding, LSTM layers, decoder."""

    def __init__(self, hidden=650, layers=2, vocab=10000, embedded=None):
        super().__init__()
        embedded = hidden if embedded is None else embedded
        self.embedding = nn.Embedding(vocab, embedded)
        self.lstm = nn.LSTM(embedded, hidden, layers, dropout=0.5)
        self.dropout = nn.Dropout(0.5)
        self.decoder = nn.Linear(hidden, vocab)

    def forward(self, ids, h0, c0):
        """(logits [T, N, vocab], hn, cn) of int64 ids [T, N] and states [layers, N, hidden]."""
        y, (hn, cn) = self.lstm(self.dropout(self.embedding(ids)), (h0, c0))
        return self.decoder(self.dropout(y)), hn, cn
