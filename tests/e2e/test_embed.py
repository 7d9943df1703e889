"""Embeddings of the demo model mean something, and so does their order."""

from collections.abc import Iterator

import pytest

from bench.running_server import running_server
from corral import CapabilityNotSupported, Client, user

PAIRS = [
    ("What is the capital of France?", "Name the capital of France."),
    ("What is 2 plus 3?", "Add 2 and 3."),
    ("Hello!", "Hi there!"),
    ("Count to five.", "Please count to 5."),
    ("Tell me a story.", "I would like to hear a story."),
    ("Repeat the word banana.", "Say the word banana."),
    ("What is the weather in Oslo?", "How is the weather in Oslo?"),
    ("Thank you!", "Thanks a lot!"),
    ("Goodbye!", "Bye!"),
    ("What is your name?", "Who are you?"),
    ("What is the capital of Japan?", "Tell me the capital of Japan."),
    ("What is 9 plus 9?", "Add 9 and 9."),
    ("Count to ten.", "Please count to 10."),
    ("Repeat the word river.", "Say the word river."),
    ("What is the weather in Rome?", "How is the weather in Rome?"),
    ("What is the capital of Egypt?", "Name the capital of Egypt."),
    ("What can you do?", "What are you able to do?"),
    ("What is 123 times 45?", "Multiply 123 by 45."),
    ("Once upon a time, there was a fox.", "There once was a fox."),
    ("Answer in JSON: the capital of Italy.", "Give me the capital of Italy as JSON."),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running_server("--log-level", "warning") as server, Client(server.address) as client:
        client.models.load("both", "demo", capabilities=["chat", "embed"], mode="server")
        yield client


def test_of_twenty_obvious_pairs_each_finds_the_other(client: Client) -> None:
    texts = [text for pair in PAIRS for text in pair]
    vectors = client.inference.embed(texts, model="both").vectors
    nearest = [
        max(
            (other for other in range(len(texts)) if other != index),
            key=lambda other: sum(
                a * b for a, b in zip(vectors[index], vectors[other], strict=True)
            ),
        )
        for index in range(len(texts))
    ]
    missed = [texts[index] for index in range(0, len(texts), 2) if nearest[index] != index + 1]
    assert missed == []


def test_one_id_serves_chat_and_embeddings(client: Client) -> None:
    answer = client.inference.chat([user("What is 2 plus 3?")], model="both", temperature=0)
    assert "5" in answer.text
    assert len(client.inference.embed(["a", "b"], model="both").vectors) == 2


def test_a_model_without_the_capability_says_so(client: Client) -> None:
    with pytest.raises(CapabilityNotSupported):
        client.inference.embed(["a"], model="demo")
