from django.contrib.auth import views
from django.http import HttpResponse, JsonResponse
from django.urls import include, path


def who(request):
    return JsonResponse({"user": request.user.get_username() if request.user.is_authenticated else None})


urlpatterns = [
    path("", lambda request: HttpResponse("the shop")),
    path("who/", who),
    path("login/", views.LoginView.as_view()),
    path("logout/", views.LogoutView.as_view()),
    path("djaffar/", include("djaffar.urls")),
]
