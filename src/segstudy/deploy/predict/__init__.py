"""Images in, masks and measurements out."""
