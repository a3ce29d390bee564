"""The proxies: their configurations, where they listen, and what is expected behind them.

The files of examples/proxies are used as they are, but for ports, names of files, and what a program needs
to run in a directory of its own."""

import os
import shutil
from pathlib import Path

from clients import Address
from support import Process, accepts, require, reserved_port, wait_until
from techniques import REFUSED, STALLED

EXAMPLES = Path("examples/proxies")
MODULES = Path("/usr/lib/apache2/modules")


class Way:
    """A way from a client to a server: an address of a proxy, and what is expected there."""

    def __init__(self, name, demo, address, proxy=None, expected=None, changes_tags=False, facts=None, reuses=True, tells=True, has_checks=True):
        self.name, self.demo, self.address, self.proxy = name, demo, address, proxy
        # What becomes of techniques that do not work.
        self.expected = expected or {}
        # The proxy compresses polls, and makes a tag of its own for that form.
        self.changes_tags = changes_tags
        # What the server knows about a client: what `/request` of the demo says.
        self.facts = facts or {}
        # Requests of one client use a connection to the server again.
        self.reuses = reuses
        # A client that leaves a quiet stream takes its connection to the server with it.
        self.tells = tells
        # Whether resuming, addresses and connections are checked. At a way that compresses, only that is.
        self.has_checks = has_checks


class Proxy:
    """A program in front of the servers. It has all ways through it."""

    def __init__(self, setting, directory):
        self.setting, self.directory, self.process = setting, directory, None
        self.directory.mkdir()
        self.ways, self.ports, self.reservations = [], [], []

    def port(self):
        port, reservation = reserved_port()
        self.ports.append(port)
        self.reservations.append(reservation)
        return port

    def start(self):
        self.process = Process(self.command(), self.directory / "log", cwd=Path.cwd(), env=self.environment())
        self.process.wait_for_ports(self.ports)

    def stop(self):
        """Ends the program together with all connections."""
        if self.process is None:
            return
        self.process.kill()
        # A child of the program may live a little longer, and then it still listens.
        for port in self.ports:
            wait_until(f"{self.program} does not listen on {port} any more", lambda: not accepts(port))

    def close(self):
        self.stop()
        for reservation in self.reservations:
            reservation.close()

    def died(self):
        """What the program has printed, if it has ended by itself."""
        code = self.process.process.poll()
        return "" if code is None else f"\n{self.program} ended with {code}:\n{self.process.printed()}"

    def environment(self):
        return os.environ

    def default(self, name, **expected):
        """A way with default settings, to the server that trusts no proxy."""
        port = self.port()
        self.ways.append(Way(name, self.setting.plain, Address(port), self, **expected))
        return port

    def compressing(self, name, **expected):
        """As `default`, for a client that takes compressed answers."""
        port = self.port()
        self.ways.append(Way(name, self.setting.plain, Address(port, accepts="gzip"), self, has_checks=False, **expected))
        return port

    def recommended(self, name, **expected):
        """The ways by the file of examples/proxies, to the server that trusts this proxy."""
        port = self.port()
        for version, http2 in [("h1", False), ("h2", True)]:
            address = Address(port, self.setting.certificate, http2)
            facts = {"client": "127.0.0.9", "scheme": "https", "host": address.authority, "may_act": True}
            self.ways.append(Way(f"{name}-{version}", self.setting.behind, address, self, facts=facts, **expected))
        return port

    def example(self, file, **replaced):
        """A file of examples/proxies with other values. Each one must be there."""
        text = (EXAMPLES / file).read_text()
        certificate = self.setting.certificate
        values = {
            "127.0.0.1:8080": f"127.0.0.1:{self.setting.behind.port}",
            "/etc/ssl/certs/push.example.pem": certificate.file,
            "/etc/ssl/private/push.example.key": certificate.key,
            "/etc/haproxy/push.example.pem": certificate.both,
            **replaced,
        }
        for value, other in values.items():
            require(value in text or value.startswith("/etc/"), f"{EXAMPLES / file}: `{value}` is not in it")
            text = text.replace(value, str(other))
        return text

    def write(self, name, text):
        (self.directory / name).write_text(text)


def hidden(host_is_kept, demo, address_of_proxy="127.0.0.1"):
    """What a server that trusts no proxy knows."""
    kept = {"may_act": True} if host_is_kept else {"may_act": False, "host": f"127.0.0.1:{demo.port}"}
    return {"client": address_of_proxy, "scheme": "http", **kept}


class Nginx(Proxy):
    program = "nginx"

    def __init__(self, setting, directory):
        super().__init__(setting, directory)
        plain = setting.plain
        # Without HTTP/1.1 there is no upgrade.
        refused = {"WebSocket": REFUSED, "STOMP": REFUSED}
        default = self.default("nginx", expected=refused, facts=hidden(False, plain), reuses=False)
        compressing = self.compressing("nginx-gzip", expected=refused)
        port = self.recommended("nginx")
        self.unix = self.port()
        self.forwarded = self.port()
        upstream = f"http://127.0.0.1:{plain.port}"
        self.write("example.conf", self.example("nginx.conf", **{"listen 443": f"listen 127.0.0.1:{port}"}))
        temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        # `Forwarded` as nginx's wiki has it. The host is left out: nginx passes on a `Host` with quotation
        # marks and commas, with which a client could add elements of its own.
        self.write(
            "nginx.conf",
            f"""daemon off; master_process off; pid {directory}/pid; worker_rlimit_nofile 1024;
events {{ worker_connections 512; }}
http {{
    access_log off; {temporary}
    include {directory}/example.conf;
    map $remote_addr $forwarded_for {{
        ~^[0-9.]+$ "for=$remote_addr";
        ~^[0-9A-Fa-f:.]+$ "for=\\"[$remote_addr]\\"";
        default "for=unknown";
    }}
    server {{ listen 127.0.0.1:{default}; location / {{ proxy_pass {upstream}; }} }}
    server {{
        listen 127.0.0.1:{compressing}; gzip on; gzip_types *; gzip_min_length 1;
        location / {{ proxy_pass {upstream}; }}
    }}
    server {{
        listen 127.0.0.1:{self.unix};
        location / {{
            proxy_pass http://unix:{setting.unix.path}; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Host $http_host;
        }}
    }}
    server {{
        listen 127.0.0.1:{self.forwarded};
        location / {{
            proxy_pass http://127.0.0.1:{setting.rfc_7239.port}; proxy_set_header Host $http_host;
            proxy_set_header Forwarded "$http_forwarded, $forwarded_for;proto=https";
        }}
    }}
}}
""",
        )

    def command(self):
        return ["nginx", "-p", self.directory, "-c", self.directory / "nginx.conf", "-e", self.directory / "errors"]


class Haproxy(Proxy):
    program = "haproxy"

    def __init__(self, setting, directory):
        super().__init__(setting, directory)
        default = self.default("haproxy", facts=hidden(True, setting.plain), tells=False)
        # The defaults with the one option that the delay of messages needs.
        no_delay = self.default("haproxy-no-delay", facts=hidden(True, setting.plain), tells=False)
        compressing = self.compressing("haproxy-gzip")
        port = self.recommended("haproxy")
        # It asks for time-outs, and has no default for them.
        self.write(
            "defaults.cfg",
            f"""global
    stats timeout 1s
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen plain
    bind 127.0.0.1:{default}
    server plain 127.0.0.1:{setting.plain.port}
listen no-delay
    bind 127.0.0.1:{no_delay}
    option http-no-delay
    server plain 127.0.0.1:{setting.plain.port}
listen compressing
    bind 127.0.0.1:{compressing}
    option http-no-delay
    compression algo gzip
    server plain 127.0.0.1:{setting.plain.port}
""",
        )
        self.write("example.cfg", self.example("haproxy.cfg", **{"bind :443": f"bind 127.0.0.1:{port}"}))

    def command(self):
        return ["haproxy", "-db", "-f", self.directory / "defaults.cfg", "-f", self.directory / "example.cfg"]


class Apache(Proxy):
    program = "apache2"

    def __init__(self, setting, directory):
        super().__init__(setting, directory)
        refused = {"WebSocket": REFUSED, "STOMP": REFUSED}
        default = self.default("apache", expected=refused, facts=hidden(False, setting.plain), tells=False)
        compressing = self.compressing("apache-deflate", expected=refused, changes_tags=True)
        port = self.recommended("apache", tells=False)
        names = ["mpm_event", "authz_core", "deflate", "filter", "headers", "http2", "proxy", "proxy_http", "ssl"]
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in names)
        listen = "\n".join(f"Listen 127.0.0.1:{port}" for port in self.ports)
        upstream = f"http://127.0.0.1:{setting.plain.port}/"
        self.write(
            "apache.conf",
            f"""ServerRoot {directory}
DefaultRuntimeDir {directory}
PidFile {directory}/pid
ErrorLog {directory}/errors
ServerName localhost
{modules}
{listen}
<VirtualHost 127.0.0.1:{default}>
    ProxyPass / {upstream}
</VirtualHost>
<VirtualHost 127.0.0.1:{compressing}>
    SetOutputFilter DEFLATE
    ProxyPass / {upstream}
</VirtualHost>
"""
            + self.example("apache.conf", **{"*:443": f"127.0.0.1:{port}"}),
        )

    def command(self):
        return ["apache2", "-f", self.directory / "apache.conf", "-DFOREGROUND"]


class Caddy(Proxy):
    program = "caddy"

    def __init__(self, setting, directory):
        super().__init__(setting, directory)
        default = self.default("caddy", facts=hidden(True, setting.plain))
        # Debian's Caddy 2.6 compresses pages even if the answer has `no-transform`.
        compressing = self.compressing("caddy-encode", expected={"iframe": STALLED})
        port = self.recommended("caddy")
        certificate = setting.certificate
        site = f"https://push.example:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate.file} {certificate.key}\n"
        self.write(
            "Caddyfile",
            f"""{{
    admin off
    auto_https off
}}
http://:{default} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{setting.plain.port}
}}
http://:{compressing} {{
    bind 127.0.0.1
    encode gzip
    reverse_proxy 127.0.0.1:{setting.plain.port}
}}
"""
            + self.example("Caddyfile", **{"push.example {\n": site}),
        )

    def command(self):
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.directory / "Caddyfile"]

    def environment(self):
        return {**os.environ, "HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}


class Express(Proxy):
    """A compressor that knows `no-transform`, and the same one for a server that does not ask for it."""

    program = "node"

    def __init__(self, setting, directory):
        super().__init__(setting, directory)
        # Its middleware has no upgrade.
        refused = {"WebSocket": REFUSED, "STOMP": REFUSED}
        stalled = {"iframe": STALLED, "SSE": STALLED}
        self.compressing("express", expected=refused)
        self.compressing("express-no-field", expected={**refused, **stalled})

    def command(self):
        return ["node", self.setting.work / "express.mjs", self.setting.plain.port, *self.ports]


PROXIES = [Nginx, Haproxy, Apache, Caddy, Express]


def installed(work):
    """The proxies that are there. tests/proxies/run says which ones are missing."""
    has_express = (work / "node_modules" / "express").is_dir()
    return [proxy for proxy in PROXIES if shutil.which(proxy.program) and (proxy is not Express or has_express)]
