"""EKS: tokens that STS takes, a client that renews them, a kubeconfig that has none; and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from invoke.context import Context
from moto import mock_aws

from tasks.lib import kube, paths, tools
from tasks.lib import target as targets
from tasks.lib.aws import eks, session
from tasks.lib.errors import Code, Stop
from tasks.lib.infra_settings import Infra
from tasks.lib.settings import EksCluster, Environment, GitRemote, Registry
from tasks.lib.target import Target
from tests.aws.conftest import SECRET
from tests.aws.counterparts import ACCOUNT, OTHER, REGION, Aws

CLUSTER = "slipway-staging"
VERSION = ("major", "minor", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")


def url_in(token: str) -> str:
    assert token.startswith(eks.PREFIX)
    text = token.removeprefix(eks.PREFIX)
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def identity_in(token: str, moto: str) -> str:
    """Sends the signed request, as a cluster does; the account that STS names.

    moto's server finds out from the Authorization header which service is meant, so what is in the URL goes there too.
    """
    parts = urlsplit(url_in(token))
    credential = dict(parse_qsl(parts.query))["X-Amz-Credential"]
    headers = {eks.HEADER: CLUSTER, "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host"}
    return account_in(requests.get(f"{moto}/?{parts.query}", headers=headers, timeout=30))


def account_in(answer: requests.Response) -> str:
    assert answer.status_code == 200
    return str(re.findall(r"<Account>(\d+)</Account>", answer.text)[0])


def make(infra: Infra) -> None:
    """A cluster as moto knows it: an address where nobody answers."""
    session.client(infra, "eks").create_cluster(
        name=CLUSTER, roleArn=f"arn:aws:iam::{ACCOUNT}:role/eks", resourcesVpcConfig={}
    )


# --------------------------------------------------------------------------------------------------------- token


@pytest.mark.slow
def test_sts_takes_the_token_and_says_whose_it_is(somebody: None) -> None:
    with mock_aws():
        made = eks.token(Infra(account=ACCOUNT, region=REGION), CLUSTER)
        assert account_in(requests.get(url_in(made.value), headers={eks.HEADER: CLUSTER}, timeout=30)) == ACCOUNT
    left = made.expires - datetime.now(timezone.utc)
    assert timedelta(minutes=13) < left < timedelta(minutes=15)
    assert made.value not in repr(made)


def test_the_token_is_signed_for_this_cluster_and_region(somebody: None) -> None:
    """moto checks no signature; this computes it again from AWS's description, without botocore."""
    parts = urlsplit(url_in(eks.token(Infra(account=ACCOUNT, region=REGION), CLUSTER).value))
    query = dict(parse_qsl(parts.query))
    assert parts.hostname == f"sts.{REGION}.amazonaws.com"
    assert (query["Action"], query["X-Amz-Expires"]) == ("GetCallerIdentity", "60")
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    for cluster, holds in ((CLUSTER, True), ("another", False)):
        assert (_signature(parts.hostname, query, cluster) == query["X-Amz-Signature"]) == holds


def _signature(host: str, query: dict[str, str], cluster: str) -> str:
    words = sorted((key, value) for key, value in query.items() if key != "X-Amz-Signature")
    canonical = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in words)
    headers = f"host:{host}\n{eks.HEADER}:{cluster}\n"
    empty = hashlib.sha256(b"").hexdigest()
    request = "\n".join(["GET", "/", canonical, headers, f"host;{eks.HEADER}", empty])
    day, scope = query["X-Amz-Date"][:8], query["X-Amz-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest])
    key = f"AWS4{SECRET}".encode()
    for word in (day, REGION, "sts", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_without_credentials_no_token_is_signed() -> None:
    with pytest.raises(Stop, match=f"sign a token for {CLUSTER}: there are no AWS credentials"):
        eks.token(Infra(account=ACCOUNT, region=REGION), CLUSTER)


# ------------------------------------------------------------------------------------------------------- cluster


@pytest.mark.slow
def test_a_cluster_is_found(infra: Infra) -> None:
    make(infra)
    found = eks.describe(infra, CLUSTER)
    assert found.endpoint.startswith("https://")
    assert found.certificate


def test_a_cluster_that_is_not_there(infra: Infra) -> None:
    with pytest.raises(Stop, match=rf"account {ACCOUNT} has no EKS cluster of this name in {REGION}") as caught:
        eks.describe(infra, "nowhere")
    assert caught.value.code == Code.COULD_NOT_RUN


@pytest.mark.slow
def test_the_cluster_of_another_region_is_not_found(infra: Infra) -> None:
    make(infra)
    with pytest.raises(Stop, match="no EKS cluster of this name in us-west-2"):
        eks.describe(infra.model_copy(update={"region": "us-west-2"}), CLUSTER)


@pytest.mark.parametrize("ask", [eks.configuration, eks.exec_credential])
@pytest.mark.slow
def test_another_account_gets_no_token(infra: Infra, ask: object) -> None:
    make(infra)
    assert callable(ask)
    with pytest.raises(Stop, match=f"names {OTHER}"):
        ask(infra.model_copy(update={"account": OTHER}), CLUSTER)


@pytest.mark.slow
def test_another_account_gets_no_kubeconfig(infra: Infra, tmp_path: Path) -> None:
    make(infra)
    with pytest.raises(Stop, match=f"names {OTHER}"):
        eks.kubeconfig(infra.model_copy(update={"account": OTHER}), CLUSTER, tmp_path / "config")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (
            "AccessDeniedException",
            f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: eks:DescribeCluster on resource: x",
            f"no permission for eks:DescribeCluster by arn:aws:iam::{ACCOUNT}:user/ann",
        ),
        ("ThrottlingException", "Rate exceeded", "asked too often"),
        ("ExpiredTokenException", "The security token included in the request is expired", "credentials are expired"),
    ],
)
@pytest.mark.slow
def test_what_eks_refuses_is_one_sentence(somebody: None, code: str, message: str, told: str) -> None:
    with Aws(code, message, 403) as aws, pytest.raises(Stop, match=told) as caught:
        eks.configuration(Infra(account=ACCOUNT, region=REGION, endpoint=aws.url), CLUSTER)
    assert caught.value.code == Code.COULD_NOT_RUN
    assert "\n" not in caught.value.sentence


@pytest.mark.parametrize(("status", "ready"), [("CREATING", False), ("UPDATING", True), ("FAILED", False)])
@pytest.mark.slow
def test_a_cluster_that_is_not_ready(infra: Infra, monkeypatch: pytest.MonkeyPatch, status: str, ready: bool) -> None:
    make(infra)
    real = session.client(infra, "eks")
    found = real.describe_cluster(name=CLUSTER)
    found["cluster"]["status"] = status
    monkeypatch.setattr(real, "describe_cluster", lambda **_: found)
    monkeypatch.setattr(session, "client", lambda *_: real)
    if ready:
        assert eks.describe(infra, CLUSTER)
        return
    with pytest.raises(Stop, match=f"it is {status}"):
        eks.describe(infra, CLUSTER)


# -------------------------------------------------------------------------------------------------------- client


class ApiServer:
    """An API server as far as a version is asked for, over TLS; tokens: the bearer tokens that it was shown."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        (folder / "server.pem").write_bytes(pem + self.certificate)
        self.tokens: list[str] = []
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.tokens.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
                body = json.dumps(dict.fromkeys(VERSION, "x") | {"gitVersion": "v1.34.2"}).encode()
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def described(self) -> eks.Described:
        certificate = base64.b64encode(self.certificate).decode()
        return eks.Described(f"https://localhost:{self.server.server_port}", certificate)


@pytest.fixture
def api(tmp_path: Path, infra: Infra, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """Where moto's cluster would be, if it had an API server."""
    made = ApiServer(tmp_path)
    threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(eks, "describe", lambda *_: made.described)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def here(c: Context, infra: Infra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr(paths, "ROOT", tmp_path / "checkout")
    kube._written.cache_clear()
    env = Environment(
        name="staging",
        cluster=EksCluster(kind="eks", name=CLUSTER),
        registry=Registry(repository="registry.example.com/s"),
        git=GitRemote(url="https://git.example.com/s.git"),
        infra=infra,
    )
    return targets.of(c, env)


@pytest.mark.slow
def test_the_client_shows_a_token_and_renews_it_before_it_ends(
    api: ApiServer, here: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = kube.connect(here)
    cluster.get("/version")
    assert api.tokens[0] == api.tokens[1]
    assert identity_in(api.tokens[0], here.env.infra.endpoint) == ACCOUNT
    monkeypatch.setattr(eks, "SPARE", eks.LIFETIME + timedelta(seconds=1))  # as if that time had passed
    monkeypatch.setattr(eks, "URL_SECONDS", 61)
    cluster.get("/version")
    assert "X-Amz-Expires=61" in url_in(api.tokens[2])


def test_a_role_that_the_cluster_does_not_know(api: ApiServer, here: Target) -> None:
    api.status = 401
    with pytest.raises(kube.Silent, match=f"the cluster {CLUSTER} does not answer: Unauthorized") as caught:
        kube.connect(here)
    assert "docs/aws.md" in caught.value.fix


@pytest.mark.slow
def test_kubectl_gets_a_file_without_a_token_and_signs_one(
    c: Context, api: ApiServer, here: Target, infra: Infra, tmp_path: Path
) -> None:
    file = kube.kubeconfig(here)
    assert file == here.kubeconfig
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert eks.PREFIX not in text
    assert SECRET not in text
    (tmp_path / "tasks.py").write_text("raise SystemExit('the folder that kubectl is run in was imported')")
    words = [tools.path(c, "kubectl"), f"--kubeconfig={file}", f"--context={here.context}", "get", "--raw", "/version"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "v1.34.2" in said.stdout
    assert identity_in(api.tokens[-1], infra.endpoint) == ACCOUNT


@pytest.mark.slow
def test_kubectl_is_told_why_there_is_no_token(
    c: Context, api: ApiServer, here: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kube.kubeconfig(here)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    words = [tools.path(c, "kubectl"), f"--kubeconfig={file}", "get", "--raw", "/version"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert f"log in to the cluster {CLUSTER}: there are no AWS credentials" in said.stderr
    assert "Traceback" not in said.stderr
    assert not api.tokens
