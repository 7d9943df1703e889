"""Ask twice in one conversation, with asyncio. Needs a server: corral serve"""

import asyncio

from corral import system, user
from corral.aio import Client


async def main() -> None:
    messages = [system("Answer briefly.")]
    async with Client() as client:
        for question in ("What is the capital of France?", "And of Italy?"):
            messages.append(user(question))
            answer = await client.inference.chat(messages, temperature=0)
            messages.append(answer.message)
            print(f"{question}\n  {answer}")


asyncio.run(main())
