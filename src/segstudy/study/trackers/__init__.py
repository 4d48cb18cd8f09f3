"""Where the progress of a study is shown or logged."""
