"""What goes wrong with AWS, as data: how it is recognised, what people are told, what they type next."""

from __future__ import annotations

from dataclasses import dataclass

HOW = "docs/aws.md"


@dataclass(frozen=True)
class Cause:
    """One thing that goes wrong.

    codes: AWS's error codes. types: names of botocore's exceptions. says: what programs print, and AWS's messages.
    sentence, fix: for people; {action}, {lock}, {subject} and the like are filled in from what was said.
    """

    codes: tuple[str, ...]
    types: tuple[str, ...]
    says: str
    sentence: str
    fix: str


# The first that fits counts: an expired token is also a request that is not allowed.
CAUSES = {
    "locked": Cause(
        (),
        (),
        r"Error acquiring the state lock|Error locking state",
        "the state is locked: lock {lock}{holder}",
        "wait; when nobody is at work on it any more: ./inv infra.unlock",
    ),
    "account": Cause(
        (),
        (),
        r"AWS account ID not allowed: (?P<subject>\d+)",
        "these credentials are of account {subject}, which is not the one that environment.yaml names",
        "set AWS_PROFILE, or in a job AWS_ROLE_ARN, to a role of the environment's account",
    ),
    "expired": Cause(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"),
        ("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "LoginRefreshRequired"),
        r"ExpiredToken|RequestExpired|token (?:included in the request )?(?:is|has) expired|SSO session has expired",
        "the AWS credentials are expired",
        "aws sso login, or get new ones; in a pipeline run the job again",
    ),
    "region": Cause(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "OptInRequired"),
        ("NoRegionError", "InvalidRegionError", "UnknownRegionError", "UnknownEndpointError"),
        r"AuthorizationHeaderMalformed|PermanentRedirect|StatusCode: 301|requested bucket from|[Ii]nvalid AWS Region"
        r"|scoped to a valid region",
        "this is not the region where it is, or the account may not use that region{expected}",
        "correct infra.region in environment.yaml",
    ),
    "credentials": Cause(
        (
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "AuthFailure",
            "MissingAuthenticationToken",
            "IncompleteSignature",
            "InvalidIdentityToken",
            "IDPRejectedClaim",
        ),
        (),
        r"InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|AuthFailure"
        r"|InvalidIdentityToken",
        "AWS does not know these credentials",
        f"set AWS_PROFILE, or in a job AWS_ROLE_ARN and its id token ({HOW})",
    ),
    "permission": Cause(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden", "403"),
        (),
        r"AccessDenied|UnauthorizedOperation|[Nn]ot authorized to perform|StatusCode: 403",
        "no permission{action}{who}",
        f"let the role do that ({HOW}, The role)",
    ),
    "no credentials": Cause(
        (),
        ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),
        r"No valid credential sources|no EC2 IMDS role found|failed to get shared config profile|Unable to locate cred",
        "there are no AWS credentials",
        f"aws sso login, set AWS_PROFILE, or in a job AWS_ROLE_ARN and its id token ({HOW})",
    ),
    "throttled": Cause(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "TooManyRequestsException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2ThrottledException",
        ),
        (),
        r"Throttl(?:ing|ed)|TooManyRequests|RequestLimitExceeded|Rate exceeded|SlowDown",
        "AWS is asked too often (throttled), and tries did not help",
        "wait a minute, then the same line again",
    ),
    "immutable tag": Cause(
        ("ImageTagAlreadyExistsException",),
        (),
        r"cannot be overwritten because the (?:repository|tag) is immutable",
        "the repository has another image under this tag already, and tags do not change there",
        "deploy what is there (--release SHA), or commit",
    ),
    "bucket": Cause(
        ("NoSuchBucket",),
        (),
        r"NoSuchBucket|S3 bucket \S+ does not exist",
        "the state bucket does not exist",
        "./inv infra.bootstrap",
    ),
    "missing": Cause(
        ("ResourceNotFoundException", "RepositoryNotFoundException", "NotFoundException", "NoSuchEntity", "404"),
        (),
        r"(?:Resource|Repository)NotFoundException|NoSuch[A-Z]\w+|StatusCode: 404"
        r"|repository with name '(?P<subject>[^']+)' does not exist",
        "AWS does not have it{subject}",
        "./inv infra.plan, which shows what is to be made",
    ),
    "unreachable": Cause(
        (),
        (
            "EndpointConnectionError",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ConnectionClosedError",
            "ProxyConnectionError",
            "SSLError",
            "HTTPClientError",
        ),
        r"no such host|connection refused|i/o timeout|request send failed|dial tcp|TLS handshake timeout"
        r"|connection reset by peer|closed network connection|context deadline exceeded",
        "AWS does not answer{place}: no network, a proxy, or a region that does not exist",
        "./inv doctor",
    ),
}
