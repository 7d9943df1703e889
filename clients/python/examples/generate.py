"""Continue a text and print it while it is written. Needs a server: corral serve"""

from corral import Client, FinishReason

with Client() as client:
    stream = client.inference.generate_stream(
        "Once upon a time, there was a", max_tokens=32, temperature=0
    )
    for delta in stream:
        print(delta, end="", flush=True)
    if finished := stream.finished:
        reason = FinishReason.Name(finished.reason)
        print(f"\n{reason} after {finished.usage.completion_tokens} tokens")
