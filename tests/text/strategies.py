"""Texts that meet every branch of GPT-2's pattern, and everything else that can go wrong with a character."""

from hypothesis import strategies as st

PIECES = [
    *("'s", "'T", "'ve", "ll", "a", "Z", "é", "09", "٣", "½", "<|", "|>", "!?"),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\u00a0",
        "\u3000",
        "\u200b",
        "\u0085",
        "\x00",
    ),  # spaces, and what looks like them
    *("中", "文字", "🙂", "🏳\ufe0f\u200d🌈", "e\u0301", "\ufffd"),  # several bytes, and several characters a sign
]
odd_texts = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | odd_texts
assigned_texts = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40) | odd_texts
"""Without the characters that only the newest Unicode knows: engines of regular expressions differ in its version."""
