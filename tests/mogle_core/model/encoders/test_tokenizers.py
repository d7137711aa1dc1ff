"""T5's tokenizer from either of its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mogle_core.model.encoders.tokenizers import open_t5_tokenizer

sentencepiece = pytest.importorskip("sentencepiece")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose T5 tokenizer is spiece.model alone, as FLUX.1's repository has it beside tokenizer.json."""
    text = tmp_path / "text.txt"
    people = ["apple", "banana", "cherry", "grape", "lemon", "melon", "olive", "peach", "plum", "quince"]
    text.write_text(
        "\n".join(f"a woman with brown hair number {n} smiles at {who}" for n, who in enumerate(people * 20))
    )
    (tmp_path / "tokenizer_2").mkdir()
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "tokenizer_2/spiece"), vocab_size=55, pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return tmp_path


def test_spiece_model_alone_is_read(place: Path) -> None:
    tokens = open_t5_tokenizer([place])("a woman smiles").input_ids
    assert tokens[-1] == 1
    assert len(tokens) > 2


@pytest.mark.parametrize("package", ["sentencepiece", "google"])
def test_both_packages_are_needed(package: str, place: Path) -> None:
    """Why the extra names sentencepiece and protobuf (whose module is google), which no file of ours imports."""
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from transformers import T5TokenizerFast\n"
        f"T5TokenizerFast.from_pretrained({str(place / 'tokenizer_2')!r}, local_files_only=True)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
