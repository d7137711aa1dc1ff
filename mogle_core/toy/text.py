"""The toy's text encoder: a fixed vocabulary of words, and a small transformer that reads them into slots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

MAX_WORDS = 56
SLOTS = 16
CONTEXT_WIDTH = 96
POOLED_WIDTH = 64
PADDING, UNKNOWN = "<pad>", "<unk>"

_HEADS = 4


def words_of(prompt: str) -> list[str]:
    """The lower-case words of a text. Hyphens belong to words; every other sign separates them."""
    return re.findall(r"[a-z]+(?:-[a-z]+)*", prompt.lower())


def collect_vocabulary(captions: Iterable[str]) -> tuple[str, ...]:
    """Padding, the unknown word, and every word of the captions in alphabetical order."""
    return (PADDING, UNKNOWN, *sorted({word for caption in captions for word in words_of(caption)}))


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(CONTEXT_WIDTH), nn.LayerNorm(CONTEXT_WIDTH)
        self.qkv = nn.Linear(CONTEXT_WIDTH, 3 * CONTEXT_WIDTH)
        self.proj = nn.Linear(CONTEXT_WIDTH, CONTEXT_WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(CONTEXT_WIDTH, 2 * CONTEXT_WIDTH), nn.GELU(), nn.Linear(2 * CONTEXT_WIDTH, CONTEXT_WIDTH)
        )

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm_1(x)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        # Written out, because torch's fused attention trains more slowly on a CPU.
        logits = (q @ k.mT / k.shape[-1] ** 0.5).float().masked_fill(~visible[:, None, None], -torch.inf)
        attention = logits.softmax(dim=-1).to(v.dtype) @ v
        x = x + self.proj(attention.transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp(self.norm_2(x))
        return out


class ToyText(nn.Module):
    """Prompts to context (B, 16, 96) and pooled text (B, 64).

    The transformer sees 16 learned slots, which attend to the words. So its cost does not grow with the caption,
    and an empty prompt needs no special case.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self.words = nn.Embedding(len(self.vocabulary), CONTEXT_WIDTH)
        self.places = nn.Parameter(0.1 * torch.randn(MAX_WORDS, CONTEXT_WIDTH))
        self.slots = nn.Parameter(0.5 * torch.randn(SLOTS, CONTEXT_WIDTH))
        self.layers = nn.ModuleList(_Layer() for _ in range(2))
        self.norm = nn.LayerNorm(CONTEXT_WIDTH)
        self.pool = nn.Linear(CONTEXT_WIDTH, POOLED_WIDTH)

    def tokenise(self, prompts: Sequence[str]) -> Tensor:
        """Word numbers (B, 56), padded. Unknown words become <unk>; words beyond the 56th are left out."""
        number = {word: i for i, word in enumerate(self.vocabulary)}
        tokens = torch.zeros(len(prompts), MAX_WORDS, dtype=torch.long)
        for row, prompt in zip(tokens, prompts, strict=True):
            numbers = [number.get(word, 1) for word in words_of(prompt)[:MAX_WORDS]]
            row[: len(numbers)] = torch.tensor(numbers, dtype=torch.long)
        return tokens.to(self.places.device)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Word numbers (B, 56) -> context (B, 16, 96), pooled (B, 64)."""
        slots = self.slots.expand(len(tokens), -1, -1)
        x = torch.cat((slots, self.words(tokens) + self.places), dim=1)
        visible = torch.cat((tokens.new_ones(len(tokens), SLOTS), tokens), dim=1) > 0
        for layer in self.layers:
            x = layer(x, visible)
        context = self.norm(x[:, :SLOTS])
        return context, self.pool(context.mean(dim=1))

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        return self(self.tokenise(prompts))  # type: ignore[no-any-return]
