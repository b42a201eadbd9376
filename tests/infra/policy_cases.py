"""Of every rule for AWS, what breaks it and what keeps it."""

from __future__ import annotations

from tasks.lib.infra import policy
from tests.infra.policy_world import (
    BLOCKS,
    BUCKET,
    ENCRYPTED,
    GOOD,
    POLICY,
    TRUST,
    guarded,
    resource,
)

# rule: what breaks it, what keeps it
CASES: list[tuple[str, str, str]] = [
    (
        "SLW-NET-01",
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "0.0.0.0/0"', "from_port = 443", "to_port = 443"),
        resource(
            "aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "10.0.0.0/16"', "from_port = 443", "to_port = 443"
        ),
    ),
    (
        "SLW-NET-01",
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "128.0.0.0/1"'),
        resource("aws_vpc_security_group_ingress_rule", 'referenced_security_group_id = "sg-1"'),
    ),
    (
        "SLW-NET-01",
        resource("aws_security_group", 'ingress {\n from_port = 443\n to_port = 443\n ipv6_cidr_blocks = ["::/0"]\n}'),
        resource("aws_security_group", 'egress {\n from_port = 443\n to_port = 443\n cidr_blocks = ["0.0.0.0/0"]\n}'),
    ),
    (
        "SLW-NET-01",
        resource("aws_security_group_rule", 'type = "ingress"', 'cidr_blocks = ["10.0.0.0/8", "0.0.0.0/0"]'),
        resource("aws_security_group_rule", 'type = "egress"', 'cidr_blocks = ["0.0.0.0/0"]'),
    ),
    (
        "SLW-NET-02",
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "10.0.0.0/16"', "from_port = 20", "to_port = 30"),
        resource("aws_vpc_security_group_ingress_rule", 'cidr_ipv4 = "10.0.0.0/16"', "from_port = 23", "to_port = 80"),
    ),
    (
        "SLW-NET-02",
        resource("aws_security_group", 'ingress {\n from_port = "22"\n to_port = "22"\n self = true\n}'),
        resource("aws_security_group", "ingress {\n from_port = 5432\n to_port = 5432\n self = true\n}"),
    ),
    (
        "SLW-RDS-01",
        resource("aws_db_instance", "publicly_accessible = true"),
        resource("aws_db_instance", "publicly_accessible = false"),
    ),
    (
        "SLW-RDS-02",
        resource("aws_db_instance", 'engine = "postgres"'),
        resource("aws_db_instance", "storage_encrypted = true"),
    ),
    (
        "SLW-RDS-03",
        resource("aws_db_instance", 'engine = "postgres"'),
        resource("aws_db_instance", "manage_master_user_password = true"),
    ),
    (
        "SLW-S3-01",
        guarded("aws_s3_bucket_public_access_block", *BLOCKS),
        guarded("aws_s3_bucket_public_access_block", *BLOCKS, "restrict_public_buckets = true"),
    ),
    ("SLW-S3-01", BUCKET, guarded("aws_s3_bucket_public_access_block", *BLOCKS, "restrict_public_buckets = true")),
    (
        "SLW-S3-02",
        guarded("aws_s3_bucket_versioning", 'versioning_configuration {\n status = "Suspended"\n}'),
        guarded("aws_s3_bucket_versioning", 'versioning_configuration {\n status = "Enabled"\n}'),
    ),
    ("SLW-S3-03", BUCKET, guarded("aws_s3_bucket_server_side_encryption_configuration", ENCRYPTED)),
    (
        "SLW-EC2-01",
        resource("aws_instance", 'metadata_options {\n http_tokens = "optional"\n}'),
        resource("aws_instance", 'metadata_options {\n http_tokens = "required"\n}'),
    ),
    (
        "SLW-EC2-01",
        resource("aws_launch_template", 'name = "n"'),
        resource("aws_launch_template", 'metadata_options {\n http_tokens = "required"\n}'),
    ),
    (
        "SLW-EC2-02",
        resource("aws_instance", "root_block_device {\n encrypted = false\n}"),
        resource("aws_instance", "root_block_device {\n encrypted = true\n}"),
    ),
    (
        "SLW-EC2-02",
        resource("aws_launch_template", "block_device_mappings {\n ebs {\n volume_size = 8\n }\n}"),
        resource("aws_launch_template", 'block_device_mappings {\n ebs {\n encrypted = "true"\n }\n}'),
    ),
    (
        "SLW-ECR-01",
        resource("aws_ecr_repository", 'name = "r"'),
        resource("aws_ecr_repository", 'image_tag_mutability = "IMMUTABLE"'),
    ),
    (
        "SLW-ECR-02",
        resource("aws_ecr_repository", "image_scanning_configuration {\n scan_on_push = false\n}"),
        resource("aws_ecr_repository", "image_scanning_configuration {\n scan_on_push = true\n}"),
    ),
    (
        "SLW-EKS-01",
        resource("aws_eks_cluster", 'vpc_config {\n subnet_ids = ["s"]\n}'),
        resource("aws_eks_cluster", "vpc_config {\n endpoint_public_access = false\n}"),
    ),
    (
        "SLW-EKS-01",
        resource("aws_eks_cluster", 'vpc_config {\n public_access_cidrs = ["203.0.113.7/32", "0.0.0.0/0"]\n}'),
        resource("aws_eks_cluster", 'vpc_config {\n public_access_cidrs = ["203.0.113.7/32"]\n}'),
    ),
    (
        "SLW-EKS-02",
        resource("aws_eks_cluster", 'name = "n"'),
        resource("aws_eks_cluster", 'encryption_config {\n resources = ["secrets"]\n}'),
    ),
    (
        "SLW-DEL-01",
        resource("aws_db_instance", 'engine = "postgres"'),
        resource("aws_db_instance", "deletion_protection = true"),
    ),
    (
        "SLW-DEL-02",
        resource("aws_s3_bucket", "force_destroy = true"),
        resource("aws_s3_bucket", "force_destroy = false"),
    ),
    (
        "SLW-DEL-02",
        resource("aws_ecr_repository", "force_delete = true"),
        resource("aws_ecr_repository", 'name = "r"'),
    ),
    ("SLW-KMS-01", resource("aws_kms_key", 'description = "d"'), resource("aws_kms_key", "enable_key_rotation = true")),
    (
        "SLW-SQS-01",
        resource("aws_sqs_queue", 'name = "q"'),
        resource("aws_sqs_queue", "sqs_managed_sse_enabled = true"),
    ),
    (
        "SLW-IAM-01",
        resource("aws_iam_role_policy", POLICY % '["s3:GetObject", "*"]'),
        resource("aws_iam_role_policy", POLICY % '["s3:GetObject"]'),
    ),
    ("SLW-IAM-01", resource("aws_iam_policy", POLICY % '"*:*"'), resource("aws_iam_policy", POLICY % '"kms:*"')),
    (
        "SLW-IAM-01",
        resource("aws_iam_role_policy_attachment", 'policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"'),
        resource("aws_iam_role_policy_attachment", 'policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"'),
    ),
    (
        "SLW-IAM-02",
        resource("aws_iam_role", TRUST % '{ AWS = "*" }'),
        resource("aws_iam_role", TRUST % '{ Service = "eks.amazonaws.com" }'),
    ),
    (
        "SLW-IAM-02",
        resource("aws_s3_bucket_policy", (POLICY % '"s3:*"').replace("Action =", 'Principal = "*", Action =')),
        resource("aws_s3_bucket_policy", (POLICY % '"s3:*"').replace('"Allow"', '"Deny", Principal = "*"')),
    ),
    (
        "SLW-NET-02",
        resource("aws_security_group_rule", 'type = "ingress"', "from_port = 3389", "to_port = 3389", "self = true"),
        resource("aws_security_group_rule", 'type = "egress"', "from_port = 22", "to_port = 22"),
    ),
    (
        "SLW-RDS-03",
        resource("aws_db_instance", "manage_master_user_password = true", "password = var.secret"),
        resource("aws_db_instance", 'replicate_source_db = "other"'),
    ),
    (
        "SLW-RDS-03",
        resource("aws_rds_cluster", "manage_master_user_password = true", "master_password = var.secret"),
        resource("aws_rds_cluster", "manage_master_user_password = true"),
    ),
    ("SLW-EC2-02", resource("aws_ebs_volume", "size = 8"), resource("aws_ebs_volume", "encrypted = true")),
    (
        "SLW-DEL-02",
        resource("aws_db_instance", "skip_final_snapshot = true"),
        resource("aws_db_instance", "skip_final_snapshot = false"),
    ),
    (
        "SLW-IAM-01",
        resource("aws_iam_policy_document", 'statement {\n actions = ["*"]\n}').replace("resource", "data", 1),
        resource("aws_iam_policy_document", 'statement {\n effect = "Deny"\n actions = ["*"]\n}').replace(
            "resource", "data", 1
        ),
    ),
    ("SLW-IAM-03", resource("aws_iam_access_key", 'user = "u"'), resource("aws_iam_user", 'name = "u"')),
    ("SLW-SEC-02", resource("tls_private_key", 'algorithm = "ED25519"'), resource("aws_key_pair", 'public_key = "p"')),
]

# Types that have the same attributes as one above.
ALIKE = [
    ("aws_security_group", "aws_default_security_group"),
    ("aws_db_instance", "aws_rds_cluster"),
    ("aws_db_instance", "aws_rds_cluster_instance"),
    ("aws_iam_policy", "aws_iam_user_policy"),
    ("aws_iam_policy", "aws_iam_group_policy"),
    ("aws_iam_role_policy_attachment", "aws_iam_user_policy_attachment"),
    ("aws_iam_role_policy_attachment", "aws_iam_group_policy_attachment"),
    ("aws_s3_bucket_policy", "aws_sqs_queue_policy"),
    ("aws_s3_bucket_policy", "aws_ecr_repository_policy"),
    ("aws_s3_bucket_policy", "aws_kms_key"),
]
TYPES = {rule.id: {kind for check in rule.checks for kind in check.on} for rule in policy.rules()}
CASES += [
    (rule, bad.replace(f'"{one}"', f'"{other}"'), good.replace(f'"{one}"', f'"{other}"'))
    for rule, bad, good in CASES
    for one, other in ALIKE
    if f'"{one}"' in bad and other in TYPES[rule] and "replicate_source_db" not in good
]

TEXT_CASES: list[tuple[str, str, str]] = [
    (
        "SLW-SEC-01",
        resource("aws_db_instance", 'password = "hunter2"'),
        resource("aws_db_instance", "password = var.database_password"),
    ),
    (
        "SLW-SEC-01",
        'variable "database_password" {\n  default = "hunter2"\n}\n',
        'variable "database_password" {\n  sensitive = true\n}\n',
    ),
    (
        "SLW-SEC-01",
        'provider "aws" {\n  secret_key = "hunter2"\n  default_tags { \n tags = { a = "b" }\n }\n}\n',
        'provider "aws" {\n  region = "us-east-1"\n}\n',
    ),
    (
        "SLW-SEC-01",
        resource("aws_instance", "user_data = <<-EOT", "  -----BEGIN RSA PRIVATE KEY-----", "EOT"),
        resource("aws_instance", "monitoring = true"),
    ),
    (
        "SLW-TAG-01",
        'provider "aws" {\n  default_tags {\n    tags = { owner = "o" }\n  }\n}\n',
        'locals {\n  t = { owner = "o", environment = "e", commit = "c" }\n}\n'
        'provider "aws" {\n  default_tags {\n    tags = local.t\n  }\n}\n',
    ),
    ("SLW-TF-01", GOOD.replace("encrypt      = true", "encrypt      = false"), GOOD),
    ("SLW-TF-01", GOOD.replace("use_lockfile = true", ""), GOOD),
    ("SLW-TF-01", GOOD.replace('"s3"', '"local"'), GOOD),
    ("SLW-TF-02", GOOD.replace('"5.100.0"', '">= 5.0"'), GOOD),
    ("SLW-TF-02", GOOD.replace('required_version = "~> 1.11"', ""), GOOD),
    (
        "SLW-TF-03",
        'module "vpc" {\n  source = "terraform-aws-modules/vpc/aws"\n  version = ">= 5"\n}\n',
        'module "vpc" {\n  source = "terraform-aws-modules/vpc/aws"\n  version = "5.1.2"\n}\n',
    ),
]
