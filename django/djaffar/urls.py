"""`path("djaffar/", include("djaffar.urls"))`, as with django-djaffar 0.1.10, whose name for `log/` is kept."""

from django.urls import path

from .identity import identity
from .relay import relay

urlpatterns = [
    path("identity/", identity, name="djaffar_identity"),
    path("log/", relay, {"path": "log/"}, name="activity_detail"),
    path("log", relay, {"path": "log/"}),
    path("batch/", relay, {"path": "batch/"}, name="djaffar_batch"),
    path("batch", relay, {"path": "batch/"}),
    path("pixel.gif", relay, {"path": "pixel.gif"}, name="djaffar_pixel"),
    path("djaffar.js", relay, {"path": "djaffar.js"}, name="djaffar_client"),
]
