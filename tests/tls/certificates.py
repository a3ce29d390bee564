"""Checks of certificates: what clients think of them, which of them a client gets, their change, and
the options that name them."""

import shutil
import ssl

from support import VERSIONS, Certificate, Red, contains, equal, finish, fresh_directory, require, s_client, wait_until

# The demo looks at its files every 10 s.
RELOAD_SECONDS = 15


def verification(setting):
    authority = setting.authority
    with setting.serve() as server:
        for name in ["localhost", "127.0.0.1"]:
            with server.connect(name=name) as client:
                equal(f"GET /plaintext of {name}", (200, b"Hello, World!"), client.ask("GET", "/plaintext")[::2])
        for name, context, expected in [
            ("without the authority", ssl.create_default_context(), "unable to get local issuer certificate"),
            ("for a wrong name", authority.context(), "Hostname mismatch"),
        ]:
            refuses(server, context, "other.example" if "name" in name else "localhost", name, expected)
        printed = s_client(server, "-verify_return_error", "-verify_hostname", "other.example")
        contains("openssl s_client -verify_hostname other.example", "hostname mismatch", printed)
        server.serves("refusals by clients")
    with setting.serve(authority.expired) as server:
        for version in VERSIONS:
            refuses(server, authority.context(version), "localhost", "an expired certificate", "certificate has expired")
        context = authority.context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with server.connect(context) as client:
            equal("GET /plaintext by a client that does not verify", 200, client.ask("GET", "/plaintext")[0])


def refuses(server, context, name, what, expected):
    try:
        server.connect(context, name).tls.close()
    except ssl.SSLCertVerificationError as error:
        contains(what, expected, str(error))
    else:
        raise Red(f"{what}: expected the client to refuse the certificate, got a connection")


def names(setting):
    authority = setting.authority
    with setting.serve(authority.ecdsa, authority.rsa, authority.other) as server:
        rsa_only = ["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"]
        for version in ["-tls1_2", "-tls1_3"]:
            for name, options, certificate in [
                ("localhost", [], authority.ecdsa),
                ("other.example", [], authority.other),
                ("OTHER.example", [], authority.other),
                ("unknown.example", [], authority.ecdsa),
                (None, [], authority.ecdsa),
                # A client gets a certificate whose key it can check.
                ("localhost", rsa_only, authority.rsa),
                ("unknown.example", rsa_only, authority.rsa),
            ]:
                printed = s_client(server, version, *options, name=name)
                pem = printed[printed.index("-----BEGIN") : printed.index("-----END")]
                got = ssl.PEM_cert_to_DER_cert(f"{pem}-----END CERTIFICATE-----")
                what = f"{version}, name {name}, {' '.join(options) or 'all algorithms'}"
                require(got == certificate.der(), f"{what}: expected the certificate {certificate.file.name}, got another:\n{printed}")
        with server.connect(name="other.example") as client:
            equal("GET /plaintext of other.example", 200, client.ask("GET", "/plaintext")[0])


def reload(setting):
    """The files are replaced, the certificate before its key, while the demo runs."""
    authority = setting.authority
    served = Certificate(fresh_directory(setting.work / "reload"), "served")
    shutil.copy(authority.ecdsa.file, served.file)
    shutil.copy(authority.ecdsa.key, served.key)

    def current():
        with server.connect() as client:
            equal("GET /plaintext during the change", 200, client.ask("GET", "/plaintext")[0])
            return client.tls.getpeercert(binary_form=True)

    with setting.serve(served) as server, server.connect() as alive, server.connect() as talking:
        equal("GET /plaintext before the change", 200, alive.ask("GET", "/plaintext")[0])
        talking.open_websocket()
        talking.echoes(b"before the change")
        require(current() == authority.ecdsa.der(), "before the change: expected the first certificate, got another")
        replace(authority.renewed.file, served.file)
        # The key does not belong to the certificate yet.
        wait_until("the demo says that the old certificates stay", RELOAD_SECONDS, lambda: "the old certificates stay" in server.printed())
        contains("the log", "does not belong to", server.printed())
        require(current() == authority.ecdsa.der(), "with the old key: expected the old certificate, got another")
        replace(authority.renewed.key, served.key)
        wait_until("new connections get the new certificate", RELOAD_SECONDS, lambda: current() == authority.renewed.der())
        equal("GET /plaintext on the old connection", 200, alive.ask("GET", "/plaintext")[0])
        talking.echoes(b"after the change")


def replace(source, destination):
    """Replaces a file at once, as programs that renew certificates do."""
    fresh = destination.with_suffix(".fresh")
    shutil.copy(source, fresh)
    fresh.replace(destination)


def options(setting):
    authority = setting.authority
    empty = setting.work / "empty.pem"
    empty.write_text("no PEM here\n")
    locked = setting.work / "locked.key"
    finish(["openssl", "pkey", "-in", authority.rsa.key, "-aes128", "-passout", "pass:secret", "-out", locked], expected_code=0)
    missing = setting.work / "no-such-file.pem"
    file, key = authority.ecdsa.file, authority.ecdsa.key
    for wrong, expected in [
        (["--tls-cert", file], "each --tls-cert needs a --tls-key"),
        (["--tls-key", key], "each --tls-cert needs a --tls-key"),
        ([*authority.rsa.options(), "--tls-cert", file], "each --tls-cert needs a --tls-key"),
        (["--tls-cert", file, "--tls-key", authority.rsa.key], f"the key in {authority.rsa.key} does not belong to {file}"),
        (["--tls-cert", file, "--tls-key", authority.other.key], f"the key in {authority.other.key} does not belong to {file}"),
        (["--tls-cert", missing, "--tls-key", key], f"cannot read {missing}: No such file"),
        (["--tls-cert", file, "--tls-key", missing], f"cannot read {missing}: No such file"),
        (["--tls-cert", setting.work, "--tls-key", key], f"cannot read {setting.work}: "),
        (["--tls-cert", empty, "--tls-key", key], f"{empty} has no certificate"),
        (["--tls-cert", file, "--tls-key", empty], f"{empty} has no key"),
        (["--tls-cert", file, "--tls-key", locked], f"{locked} has no key: "),
        (["--tls-cert", key, "--tls-key", file], f"{key} has no certificate"),
        (["--tls-self-signed", *authority.rsa.options()], "--tls-self-signed: give either this, or"),
        (["--tls-cert"], "--tls-cert"),
    ]:
        command = [setting.demo, "--io", setting.model, "--listen", "127.0.0.1:0", *wrong]
        contains(" ".join(map(str, wrong)), expected, finish(command, expected_code=2))


CHECKS = {
    "reload": reload,
    "verification": verification,
    "names": names,
    "options": options,
}
