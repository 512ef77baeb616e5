"""Looking at models: what they cost, how fast they are, what they attend to."""
