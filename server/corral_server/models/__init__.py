"""The models of a server: which are there, in what state, and the engines behind them."""
