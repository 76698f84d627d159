"""Data exports: asked for, contributed to, put together, fetched once, and gone."""
