"""Storage's routes: uploading, the caller's photos, and reading over links."""

from storage.api import photos, reading, uploads

ROUTERS = (uploads.router, uploads.links, photos.router, reading.router)
# The route that takes photos counts their bytes itself.
UNLIMITED_PATHS = (r"^/api/v1/photos/[^/]+/content$",)

__all__ = ["ROUTERS", "UNLIMITED_PATHS"]
