"""numasim: what memory tiering does, in a minute on a laptop."""
