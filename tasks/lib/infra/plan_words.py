"""What a plan's words mean to a person: which types hold data, and why something is replaced or destroyed."""

from __future__ import annotations

STATEFUL = {
    "aws_backup_vault": "the backups in it",
    "aws_db_instance": "the database",
    "aws_db_snapshot": "the database's copy",
    "aws_docdb_cluster": "the database",
    "aws_dynamodb_table": "the table",
    "aws_ebs_snapshot": "the disk's copy",
    "aws_ebs_volume": "the disk",
    "aws_ecr_repository": "every image that runs or may be rolled back to",
    "aws_efs_file_system": "the files",
    "aws_eks_cluster": "the cluster with all that runs on it",
    "aws_elasticache_cluster": "the cache",
    "aws_elasticache_replication_group": "the cache",
    "aws_kinesis_stream": "the records not read yet",
    "aws_kms_key": "the key, and all that it encrypts,",
    "aws_neptune_cluster": "the database",
    "aws_opensearch_domain": "the index",
    "aws_rds_cluster": "the database",
    "aws_redshift_cluster": "the warehouse",
    "aws_s3_bucket": "the bucket's objects",
    "aws_secretsmanager_secret": "the secret",
}
"""Types that hold what cannot be made again, and what is lost with them."""

REASONS = {
    "replace_because_tainted": "an earlier apply of it ended half-way (tainted)",
    "replace_because_cannot_update": "AWS cannot change this in place",
    "replace_by_request": "asked for with -replace",
    "replace_by_triggers": "replace_triggered_by",
    "delete_because_no_resource_config": "no longer in the configuration",
    "delete_because_no_module": "its module is no longer in the configuration",
    "delete_because_wrong_repetition": "its count or for_each came or went",
    "delete_because_count_index": "its number is beyond count",
    "delete_because_each_key": "its key is no longer in for_each",
    "delete_because_no_move_target": "moved to where there is no configuration",
}
"""Terraform's reasons (`action_reason`) as a person would say them."""
