"""Client of Corral, a gRPC server that keeps several llama.cpp models resident.

`Client` blocks; `corral.aio.Client` is the same, awaited. What models say comes as answers and
deltas (`str()` is the text), vectors as embeddings, everything else as the contract's messages.

What a name needs is imported when the name is first used; the stub beside this file lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
