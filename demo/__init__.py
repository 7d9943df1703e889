"""How the demo model is made: corpus, tokenizer, training, export and the test that grades it."""
