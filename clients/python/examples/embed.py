"""Find which of five sentences is nearest to a sentence. Needs a server: corral serve

The demo model finds like words; a model made for it finds like meaning: hf:OWNER/REPO:Q8_0 or any
other source instead of "demo".
"""

from operator import mul

from corral import Client

QUESTION = "A dog sleeps on the warm stones."
SENTENCES = [
    "The restaurant opens at noon.",
    "The train to Rome leaves at nine.",
    "A cat sleeps on the warm stones.",
    "Integers are closed under addition.",
    "It will rain in the afternoon.",
]

with Client() as client:
    client.models.load("embedder", "demo", capabilities=["embed"])
    question, *sentences = client.inference.embed([QUESTION, *SENTENCES], model="embedder").vectors
    client.models.unload("embedder")

print(QUESTION)
# Vectors have length 1: the sum of products is the cosine of the angle between two.
likeness = [sum(map(mul, question, sentence)) for sentence in sentences]
for number, sentence in sorted(zip(likeness, SENTENCES, strict=True), reverse=True):
    print(f"{number:.2f} {sentence}")
