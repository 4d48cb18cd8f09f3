"""From what a call asks for to finished runs."""
