"""Storage's routes: uploading, the caller's photos, and reading over links."""

from storage.api import photos, reading, uploads

ROUTERS = (uploads.router, uploads.links, photos.router, reading.router)

__all__ = ["ROUTERS"]
