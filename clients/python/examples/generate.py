"""Continue a text and print it while it is written. Needs a server: corral serve"""

from corral import Client

with Client() as client:
    stream = client.inference.generate_stream("Once upon a time, there was a", max_tokens=40)
    for delta in stream:
        print(delta, end="", flush=True)
    print()
    print(stream.finished)
