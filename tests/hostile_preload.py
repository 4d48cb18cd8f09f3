"""What the server of the corpus imports once, so that each case need not."""
