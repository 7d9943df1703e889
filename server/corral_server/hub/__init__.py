"""The child process that speaks with the Hugging Face Hub: `python -m corral_server.hub`.

One process does one job and ends. Only here is `huggingface_hub` imported, and only here do bytes
come from outside: a job that hangs, fills the disk or breaks can be killed without the server
noticing. `names`, `messages`, `catalog` and `cache` are light and serve the server's side, too.
"""
