"""The page's templates, style sheet and script."""
