"""Planning and running of studies: from a call to finished runs."""
