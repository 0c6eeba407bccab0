"""Writes a small tokenizer for tools that will not run without one; nothing is fetched.

Run by a Python that has tokenizers and transformers: python benchmarks/tiny_tokenizer.py FOLDER
Byte-level BPE of 2,000 entries learnt from this project's own pages; the server's " word" is one token.
"""

import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
ENTRIES = 2000
END = "<|end|>"
# Some tools render chats themselves; the roles add a few tokens, as everywhere.
CHAT = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"


def main() -> None:
    """Learn, check and save it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    learning = trainers.BpeTrainer(
        vocab_size=ENTRIES, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = [page.read_text() for page in PAGES] + [" word" * 10_000]
    tokenizer.train_from_iterator(texts, learning)
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=END, chat_template=CHAT
    )
    assert len(whole.encode(" word" * 64)) == 64
    whole.save_pretrained(sys.argv[1])


if __name__ == "__main__":
    main()
