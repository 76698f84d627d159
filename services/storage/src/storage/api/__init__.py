"""Storage's routes: uploading, at once or in pieces, the caller's photos, and reading over links."""

from storage.api import photos, reading, resumable, uploads

ROUTERS = (uploads.router, uploads.links, resumable.router, photos.router, reading.router)

__all__ = ["ROUTERS"]
