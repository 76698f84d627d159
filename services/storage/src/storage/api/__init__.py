"""Storage's routes: uploading, at once or in pieces, the caller's photos, reading over links, and exports."""

from storage.api import export_sections, exports, photos, reading, resumable, uploads

ROUTERS = (
    uploads.router,
    uploads.links,
    resumable.router,
    photos.router,
    reading.router,
    exports.router,
    exports.links,
    export_sections.router,
)

__all__ = ["ROUTERS"]
