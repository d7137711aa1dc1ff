"""FLUX.1's text encoders in transformers, CLIP-L (pooled) and T5 (context), from folders or ComfyUI's single files.

As in the official pipeline, T5 reads a fixed number of tokens (512 by default) without an attention mask, so that
its padding carries content.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .api import EncodersError
from .files import Weights, file_fingerprint, load_into, weight_files
from .tokenizers import open_clip_tokenizer, open_t5_tokenizer

logger = logging.getLogger(__name__)

CLIP_HEAD = 64
"""Width of a CLIP attention head, which the files do not state."""

_ACTIVATION = "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"


class FluxText:
    """See `api.TextEncoder`. CLIP runs in float32, T5 in `dtype`; both are read at the first use.

    Args:
        clip_l: a single file or a folder, and so is t5xxl. tokenizers: see `tokenizers.py`.
        tokens: T5's length. dtype: of T5's weights; T5 overflows in float16.

    Raises:
        EncodersError: on construction, if a file or tokenizer is missing or belongs to another model.
    """

    def __init__(
        self,
        clip_l: Path,
        t5xxl: Path,
        tokenizers: Path | None = None,
        tokens: int = 512,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self.device, self.dtype, self.tokens = torch.device(device), dtype, tokens
        self.clip_path, self.t5_path = clip_l, t5xxl
        self._clip_weights = Weights(weight_files(clip_l, "CLIP-L"))
        self._t5_weights = Weights(weight_files(t5xxl, "T5"))
        self._clip_shapes = _clip_names(self._clip_weights.shapes())
        self._t5_shapes = self._t5_weights.shapes()
        _check(clip_l, self._clip_shapes, "embeddings.token_embedding.weight", "CLIP-L's text encoder")
        _check(t5xxl, self._t5_shapes, _ACTIVATION, "T5-XXL's encoder")
        places = (tokenizers,) if tokenizers is not None else (clip_l, t5xxl)
        self._clip_tokens, self._t5_tokens = open_clip_tokenizer(places), open_t5_tokenizer(places)
        files = (*self._clip_weights.files, *self._t5_weights.files)
        self.fingerprint = file_fingerprint(files, tokens, str(dtype))

    @property
    def sizes(self) -> tuple[int, int, int]:
        pooled = self._clip_shapes["embeddings.token_embedding.weight"][1]
        return self.tokens, self._t5_shapes["shared.weight"][1], pooled

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Context (B, T, C) and pooled text (B, P), float32."""
        words = self._clip_tokens(
            list(prompts), padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        )
        # As in the official pipeline, the padding, which repeats the end token, is not masked.
        pooled = self._clip(input_ids=words.input_ids.to(self.device)).pooler_output
        pieces = self._t5_tokens(
            list(prompts), padding="max_length", max_length=self.tokens, truncation=True, return_tensors="pt"
        )
        context = self._t5(input_ids=pieces.input_ids.to(self.device)).last_hidden_state
        return context.float(), pooled.float()

    @cached_property
    def _clip(self) -> Any:
        from transformers import CLIPTextConfig, CLIPTextModel

        vocabulary, width = self._clip_shapes["embeddings.token_embedding.weight"]
        model = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=vocabulary,
                hidden_size=width,
                intermediate_size=self._clip_shapes["encoder.layers.0.mlp.fc1.weight"][0],
                num_hidden_layers=_count(self._clip_shapes, r"encoder\.layers\.(\d+)\."),
                num_attention_heads=max(1, width // CLIP_HEAD),
                hidden_act="quick_gelu",
                bos_token_id=self._clip_tokens.bos_token_id,
                eos_token_id=self._clip_tokens.eos_token_id,
            )
        )
        # transformers 4 puts everything below `text_model.`, transformers 5 does not.
        prefix = "text_model." if any(name.startswith("text_model.") for name in model.state_dict()) else ""
        tensors = _clip_names(dict(self._clip_weights.tensors(torch.float32)))
        load_into(model, {prefix + name: tensor for name, tensor in tensors.items()}, str(self.clip_path))
        return model.requires_grad_(False).eval().to(self.device)

    @cached_property
    def _t5(self) -> Any:
        from transformers import T5Config, T5EncoderModel

        shapes, attention = self._t5_shapes, "encoder.block.0.layer.0.SelfAttention."
        buckets, heads = shapes[f"{attention}relative_attention_bias.weight"]
        with torch.device("meta"):
            model = T5EncoderModel(
                T5Config(
                    vocab_size=shapes["shared.weight"][0],
                    d_model=shapes["shared.weight"][1],
                    d_kv=shapes[f"{attention}q.weight"][0] // heads,
                    d_ff=shapes[_ACTIVATION][0],
                    num_heads=heads,
                    num_layers=_count(shapes, r"encoder\.block\.(\d+)\."),
                    relative_attention_num_buckets=buckets,
                    feed_forward_proj="gated-gelu",
                )
            )
        tensors = dict(self._t5_weights.tensors(self.dtype))
        tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"]
        load_into(model, tensors, str(self.t5_path))
        return model.requires_grad_(False).eval().to(self.device)

    def release(self) -> None:
        for name in ("_clip", "_t5"):
            self.__dict__.pop(name, None)


def _clip_names(named: Mapping[str, Any]) -> dict[str, Any]:
    """CLIP's text encoder without name prefixes. Other parts of a file (vision, projections) are left out."""
    weights = {}
    for name, value in named.items():
        bare = re.sub(r"^(text_encoders\.clip_l\.transformer\.|clip_l\.transformer\.)?(text_model\.)?", "", name)
        if bare.startswith(("embeddings.", "encoder.", "final_layer_norm.")) and not bare.endswith("position_ids"):
            weights[bare] = value
    return weights


def _check(path: Path, shapes: Mapping[str, Any], name: str, what: str) -> None:
    if name not in shapes:
        raise EncodersError(f"{path} is not {what}: it has no tensor {name}. Check which file goes where.")


def _count(shapes: Mapping[str, Any], pattern: str) -> int:
    return 1 + max((int(m[1]) for name in shapes if (m := re.match(pattern, name))), default=-1)
