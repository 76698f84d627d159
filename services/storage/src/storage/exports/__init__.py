"""The mechanics of data exports: the archive, how its parts are sealed, its links and its pages."""
