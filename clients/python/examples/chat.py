"""Ask twice in one conversation and print the answers while they are written. Needs a server:
corral serve"""

from corral import Client, assistant, system, user

messages = [system("Answer briefly.")]
with Client() as client:
    for question in ("What is the capital of France?", "And of Italy?"):
        print(">", question)
        messages.append(user(question))
        stream = client.inference.chat_stream(messages, temperature=0)
        for delta in stream:
            print(delta, end="", flush=True)
        print()
        messages.append(assistant(stream.text))
