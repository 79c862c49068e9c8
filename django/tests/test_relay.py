"""The relay against a real server in ingest's place."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client, SimpleTestCase, override_settings
from django.urls import reverse

from djaffar import relay
from djaffar.relay import BODY_BYTES_MAX


class InIngestsPlace(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, self.headers, body, self.client_address))
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_OPTIONS = do_PUT = answer

    def log_message(self, *_):
        pass


class Relay(SimpleTestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), InIngestsPlace)
        self.server.daemon_threads = True
        self.server.seen = []
        self.server.answer = (204, [], b"")
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(relay._idle.clear)
        site = override_settings(DJAFFAR_INGEST=f"http://127.0.0.1:{self.server.server_port}")
        site.enable()
        self.addCleanup(site.disable)
        self.client = Client(enforce_csrf_checks=True)

    def log(self, body=b"date=now", **headers):
        return self.client.post("/djaffar/log/", body, content_type="text/plain", **headers)

    def test_what_is_passed_on(self):
        self.client.cookies["sessionid"] = "abc"
        self.log(
            HTTP_HOST="site.example",
            HTTP_AUTHORIZATION="Token 1",
            HTTP_ORIGIN="https://site.example",
            HTTP_SEC_FETCH_SITE="same-origin",
            HTTP_SEC_GPC="1",
            HTTP_DNT="1",
            HTTP_X_CSRFTOKEN="t",
            HTTP_X_FORWARDED_FOR="198.51.100.7",
            HTTP_X_FORWARDED_HOST="forged.example",
            HTTP_X_FORWARDED_PROTO="https",
            HTTP_FORWARDED="for=forged",
            HTTP_X_FORWARDED_USER="admin",
            HTTP_DJAFFAR_KEY="forged",
            REMOTE_ADDR="192.0.2.1",
        )
        method, path, headers, body, _ = self.server.seen[0]
        self.assertEqual((method, path, body), ("POST", "/djaffar/log/", b"date=now"))
        expected = {
            "Cookie": "sessionid=abc",
            "Authorization": "Token 1",
            "Origin": "https://site.example",
            "Sec-Fetch-Site": "same-origin",
            "Sec-GPC": "1",
            "DNT": "1",
            "X-CSRFToken": "t",
            "Content-Type": "text/plain",
            "Host": "site.example",
            "X-Forwarded-For": "198.51.100.7, 192.0.2.1",
            "X-Forwarded-Host": "site.example",
            "X-Forwarded-Proto": "http",
            "Forwarded": None,
            "X-Forwarded-User": None,
            "Djaffar-Key": None,
        }
        self.assertEqual({name: headers[name] for name in expected}, expected)

    def test_what_comes_back(self):
        told = [
            ("Content-Type", "application/json"),
            ("Djaffar-Identity", "digest"),
            ("Retry-After", "10"),
            ("WWW-Authenticate", "Token"),
            ("Allow", "POST, OPTIONS"),
            ("Access-Control-Allow-Origin", "https://shop.example"),
        ]
        cookies = [
            ("Set-Cookie", "djaffar_session=0a.1:b-c_d; HttpOnly; SameSite=Lax; Path=/; Max-Age=1209600"),
            ("Set-Cookie", "sessionid=k2; expires=Wed, 09 Dec 2026 13:00:00 GMT; Path=/"),
        ]
        self.server.answer = (401, told + cookies, b'{"detail": "x"}')
        response = self.log()
        self.assertEqual((response.status_code, response.content), (401, b'{"detail": "x"}'))
        self.assertEqual({name: response.headers.get(name) for name, _ in told}, dict(told))
        self.assertEqual(response.cookies["djaffar_session"].OutputString(), cookies[0][1].replace("; HttpOnly; SameSite=Lax; Path=/; Max-Age=1209600", "; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"))
        self.assertEqual(response.cookies["sessionid"]["expires"], "Wed, 09 Dec 2026 13:00:00 GMT")

    def test_every_route(self):
        self.assertEqual(reverse("activity_detail"), "/djaffar/log/")
        for asked, target in [
            ("log/", "log/"),
            ("log", "log/"),
            ("batch/", "batch/"),
            ("pixel.gif?path=%2Fa%20b&id=1", "pixel.gif?path=%2Fa%20b&id=1"),
            ("djaffar.js", "djaffar.js"),
        ]:
            self.client.get(f"/djaffar/{asked}")
            self.assertEqual(self.server.seen.pop()[:2], ("GET", f"/djaffar/{target}"))

    def test_another_base_path(self):
        with override_settings(DJAFFAR_INGEST=f"http://127.0.0.1:{self.server.server_port}/other/"):
            self.log()
        self.assertEqual(self.server.seen[0][1], "/other/log/")

    def test_a_connection_is_kept_and_replaced(self):
        for _ in range(3):
            self.assertEqual(self.log().status_code, 204)
        self.assertEqual(len({address for *_, address in self.server.seen}), 1)
        # What the other side has closed meanwhile.
        relay._idle[0][1].sock.shutdown(socket.SHUT_RDWR)
        self.assertEqual(self.log().status_code, 204)
        self.assertEqual(len({address for *_, address in self.server.seen}), 2)

    def test_a_large_body_is_refused_and_not_sent(self):
        self.assertEqual(self.log(b"x" * BODY_BYTES_MAX).status_code, 204)
        self.assertEqual(self.log(b"x" * (BODY_BYTES_MAX + 1)).status_code, 413)
        self.assertEqual(len(self.server.seen), 1)

    def test_ingest_is_away_and_back(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with override_settings(DJAFFAR_INGEST=f"http://127.0.0.1:{unused.getsockname()[1]}"):
                response = self.log()
        self.assertEqual((response.status_code, response.headers["Retry-After"]), (503, "2"))
        self.assertEqual(self.log().status_code, 204)

    def test_an_answer_that_is_lost_is_not_asked_for_again(self):
        asked = []
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def hang_up():
                for _ in range(1):
                    connection, _ = listener.accept()
                    asked.append(connection.recv(65536))
                    connection.close()

            thread = threading.Thread(target=hang_up)
            thread.start()
            with override_settings(DJAFFAR_INGEST=f"http://127.0.0.1:{listener.getsockname()[1]}"):
                self.assertEqual(self.log().status_code, 503)
            thread.join()
        self.assertEqual(len(asked), 1)


class Checks(SimpleTestCase):
    def test_settings_are_checked(self):
        call_command("check")
        for wrong, id in [
            ({"DJAFFAR_INGEST": "127.0.0.1:8080"}, "djaffar.E001"),
            ({"DJAFFAR_INGEST": "http://127.0.0.1:port"}, "djaffar.E001"),
            ({"DJAFFAR_INGEST_TIMEOUT": 0}, "djaffar.E001"),
            ({"DJAFFAR_KEY": ""}, "djaffar.E002"),
            ({"DJAFFAR_AUTHENTICATION_CLASSES": ["rest_framework.Nothing"]}, "djaffar.E003"),
        ]:
            with self.subTest(wrong), override_settings(**wrong), self.assertRaisesRegex(SystemCheckError, id):
                call_command("check")
