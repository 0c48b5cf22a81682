"""moto's server with a gate in front: every call is named, logged, judged, hindered, and then executed."""

from __future__ import annotations

import io
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import cheroot.wsgi
from moto.moto_server.werkzeug_app import BackendRequest, DomainDispatcherApplication, create_backend_app

import accounts
import authz
import calls
import control
import faults
import locks
import models
import settings
import wire

Environ = dict[str, Any]

SOCKET = "cloud.socket"
"""Where the environment of a request has its socket."""

THREADS = 300
"""Requests that are answered at the same time: most of them sleep, as long as AWS would take."""


class Hangup(ConnectionError):
    """Ends a request without an answer; the server lets the connection go when it sees one."""


class Gateway(cheroot.wsgi.Gateway_10):
    """Hands the socket to the application, which may have to end a connection without an answer."""

    def get_environ(self) -> Environ:
        """The environment of one request."""
        return super().get_environ() | {SOCKET: self.req.conn.socket}


class Server(cheroot.wsgi.Server):
    """Keeps all connections, as AWS does, and says nothing of those that it ends on demand."""

    keep_alive_conn_limit = None

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Writes a line to the log."""
        if not isinstance(sys.exc_info()[1], Hangup):
            super().error_log(msg, level, traceback)


class Moto(DomainDispatcherApplication):
    """moto's dispatcher, which would match each host against a pattern for each service of AWS."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._backends: dict[str, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service behind a host; the caller holds moto's lock."""
        if host is None:
            return None
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]

    def answer(self, environ: Environ) -> wire.Response:
        """The answer to a call, from moto's own handler: it needs nothing of Flask's contexts and views, which take time."""
        app = self.get_application(environ)
        endpoint, _ = app.url_map.bind_to_environ(environ).match()
        request = BackendRequest(environ)
        status, headers, content = app.view_functions[endpoint].callback(request, request.raw_url, dict(request.headers))
        return status, list(headers.items()), content if isinstance(content, bytes) else content.encode()


class Gate:
    """The WSGI application: the control API and, for everything else, moto behind faults and judgement."""

    def __init__(self) -> None:
        self._moto = Moto()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers one request."""
        body = _read(environ)
        if environ.get("PATH_INFO", "").startswith(control.PREFIX):
            status, headers, content = control.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
        else:
            status, headers, content = self._call(environ, body)
        start_response(str(status) + " -", _headers(headers, content))
        return [content]

    def _call(self, environ: Environ, body: bytes) -> wire.Response:
        caller = accounts.caller(environ)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = caller.account
        call = wire.call_of(caller.scope, environ, body)
        if call is None:
            if caller.scope is not None:
                models.unknown(caller.account, caller.scope, environ)
            with locks.of(caller.account):
                return self._execute(environ)
        models.check_request(caller.account, call, environ, body)
        entry = calls.of(caller.account).add(call, caller)
        response = self._gated(environ, caller, call, entry)
        models.check_answer(caller.account, call, response)
        if response[0] >= 400:
            entry["error"] = wire.error_code(response)
            entry["message"] = response[2].decode(errors="replace")
        entry["status"] = response[0]
        if entry["fault"] in ("lose", "kill_after"):
            _hang_up(environ)
        return response

    def _gated(self, environ: Environ, caller: accounts.Caller, call: wire.Call, entry: calls.Entry) -> wire.Response:
        set_to = settings.for_account(caller.account)
        judgements = authz.judge(call, caller)
        entry["authz"] = [each.describe() for each in judgements]
        named = [*entry["resources"], *(each.resource for each in judgements if each.resource != "*")]
        entry["resources"] = list(dict.fromkeys(named))
        refused = next((each for each in judgements if not each.allowed), None)

        limits = faults.of(caller.account)
        rule = limits.strike(call, caller.app, entry["resources"])
        entry["fault"] = rule.do if rule else None
        match entry["fault"]:
            case "kill_before":
                _kill(rule.pid)
                _hang_up(environ)
            case "refuse":
                _hang_up(environ)
            case "throttle":
                return wire.error(call, *faults.throttle(call.service, rule.code))
            case "error500":
                return wire.error(call, *faults.failure(call.service, rule.code))
            case "slow":
                set_to.sleep(rule.seconds)
            case "deny":
                refused = refused or authz.denied(judgements, call, caller)
        if not limits.admit(call.service, caller.region):
            return wire.error(call, *faults.throttle(call.service))
        set_to.sleep(set_to.latency(call.service))
        if refused:
            why = refused.why
            return wire.error(call, *faults.denial(call.service, caller.arn, refused.action, refused.resource, why))
        with locks.of(caller.account):
            try:
                response = self._moto.answer(environ)
            except settings.AwsError as error:
                response = wire.error(call, error.code, error.message, error.status, error.fields)
            except Exception as error:  # moto lacks it, or is wrong: say so to the caller as well
                traceback.print_exc(file=sys.stderr)
                response = wire.error(call, "InternalFailure", f"local cloud: {error!r}", 501)
            if call.mutating:
                authz.changed(caller.account, call.service)
        if entry["fault"] == "kill_after":
            _kill(rule.pid)
        return response

    def _execute(self, environ: Environ) -> wire.Response:
        answered: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            answered[:] = [int(status.split()[0]), list(headers)]

        parts = self._moto(environ, start_response)
        try:
            content = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return answered[0], answered[1], content


def serve(host: str, port: int) -> Server:
    """A server that listens already and answers as soon as `serve` runs; port 0 lets the system choose."""
    server = Server((host, port), Gate(), numthreads=THREADS, request_queue_size=1024, timeout=3600)
    server.gateway = Gateway
    server.prepare()
    return server


def start(host: str = "127.0.0.1", port: int = 0) -> Server:
    """Serves from a thread of its own; `stop` ends it."""
    server = serve(host, port)
    threading.Thread(target=server.serve, name="cloud", daemon=True).start()
    return server


def _read(environ: Environ) -> bytes:
    """Takes the body, once and for all, and leaves one in the environment that can be read again."""
    if environ.get("wsgi.input_terminated"):
        body = environ["wsgi.input"].read()
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _headers(headers: list[tuple[str, str]], content: bytes) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
    length = dict((name.lower(), value) for name, value in headers).get("content-length")
    # An answer to HEAD names a length and has no content.
    return [*kept, ("Content-Length", str(len(content)) if content or not length else length)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it was faster


def _hang_up(environ: Environ) -> None:
    environ[SOCKET].shutdown(socket.SHUT_RDWR)
    raise Hangup("on demand")
