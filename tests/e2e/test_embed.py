"""Embeddings of the demo model mean something, and so does their order."""

from collections.abc import Iterator, Sequence
from operator import mul

import pytest

from bench.running_server import running_server
from corral import CapabilityNotSupported, Client, user

# A question, and the sentence of all these that says the same in other words.
PAIRS = [
    ("What is the capital of Japan?", "Tell me the capital of Japan."),
    ("What is 2 plus 3?", "Add 2 and 3."),
    ("What is 9 plus 9?", "Add 9 and 9."),
    ("Hello!", "Hi there!"),
    ("Good morning!", "Good morning to you!"),
    ("Thank you!", "Thanks a lot!"),
    ("Goodbye!", "Goodbye for now!"),
    ("Count to five.", "Please count to 5."),
    ("Tell me a story.", "I would like to hear a story."),
    ("Once upon a time, there was a fox.", "There once was a fox."),
    ("Repeat the word banana.", "Say the word banana."),
    ("Repeat the word river.", "Say the word river."),
    ("Repeat the word lemon.", "Say the word lemon."),
    ("What is the weather in Oslo?", "How is the weather in Oslo?"),
    ("What is the weather in Rome?", "How is the weather in Rome?"),
    ("What is the weather in Paris?", "How is the weather in Paris?"),
    ("What is your name?", "Who are you?"),
    ("What can you do?", "What are you able to do?"),
    ("Give me the capital of Italy as JSON.", "Answer in JSON: the capital of Italy."),
    ("What is 12 * 12?", "Calculate 12 * 12."),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running_server("--log-level", "warning") as server, Client(server.address) as client:
        client.models.load("both", "demo", capabilities=["chat", "embed"], mode="server")
        yield client


def test_twenty_obvious_questions_find_their_sentence(client: Client) -> None:
    questions = client.inference.embed([question for question, _ in PAIRS], model="both").vectors
    sentences = client.inference.embed([sentence for _, sentence in PAIRS], model="both").vectors

    def nearest(question: Sequence[float]) -> int:
        scores = [sum(map(mul, question, sentence)) for sentence in sentences]
        return scores.index(max(scores))

    found = [PAIRS[nearest(question)] for question in questions]
    assert found == PAIRS


def test_one_id_serves_chat_and_embeddings(client: Client) -> None:
    answer = client.inference.chat([user("What is 2 plus 3?")], model="both", temperature=0)
    assert "5" in answer.text
    assert len(client.inference.embed(["a", "b"], model="both").vectors) == 2


def test_a_model_without_the_capability_says_so(client: Client) -> None:
    with pytest.raises(CapabilityNotSupported):
        client.inference.embed(["a"], model="demo")
