"""Storage's routes: uploading, at once or in pieces, the caller's photos, reading over links, and exports."""

from storage.api import accounting, export_sections, exports, photos, reading, resumable, uploads

# The usage before the photo of that name.
ROUTERS = (
    uploads.router,
    uploads.links,
    resumable.router,
    accounting.router,
    photos.router,
    reading.router,
    exports.router,
    exports.links,
    export_sections.router,
)

__all__ = ["ROUTERS"]
