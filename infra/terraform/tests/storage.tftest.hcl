mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mock" }
  }
}

variables {
  name       = "slipway-test-artifacts"
  log_name   = "slipway-test-access-log"
  log_days   = 30
  account_id = "123456789012"
  key_arn    = "arn:aws:kms:us-east-1:123456789012:key/1"
  protected  = true
  emulated   = false
}

run "closed_encrypted_and_versioned" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this["artifacts"].block_public_acls, aws_s3_bucket_public_access_block.this["artifacts"].block_public_policy,
      aws_s3_bucket_public_access_block.this["artifacts"].ignore_public_acls, aws_s3_bucket_public_access_block.this["artifacts"].restrict_public_buckets,
    ])
    error_message = "the bucket can be made public"
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.key_arn
    error_message = "objects are not encrypted with the environment's key"
  }
  assert {
    condition     = aws_s3_bucket_versioning.this["artifacts"].versioning_configuration[0].status == "Enabled"
    error_message = "an overwritten object is lost"
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Effect == "Deny" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "unencrypted connections are let in"
  }
  assert {
    condition     = !aws_s3_bucket.this["artifacts"].force_destroy
    error_message = "a protected bucket goes with what it holds"
  }
}

run "every_access_is_logged_and_the_log_is_closed" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition     = aws_s3_bucket_logging.this[0].target_bucket == aws_s3_bucket.this["log"].id && aws_s3_bucket_logging.this[0].target_prefix == "slipway-test-artifacts/"
    error_message = "nobody can say who read or deleted an artifact"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this["log"].block_public_acls, aws_s3_bucket_public_access_block.this["log"].block_public_policy,
      aws_s3_bucket_public_access_block.this["log"].ignore_public_acls, aws_s3_bucket_public_access_block.this["log"].restrict_public_buckets,
    ])
    error_message = "the log can be made public"
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.log.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "S3 delivers no access log into a bucket that is encrypted by default with a key of KMS"
  }
  assert {
    condition = [for one in jsondecode(aws_s3_bucket_policy.log.policy).Statement : one.Condition if one.Effect == "Allow"] == [{
      ArnLike      = { "aws:SourceArn" = aws_s3_bucket.this["artifacts"].arn }
      StringEquals = { "aws:SourceAccount" = "123456789012" }
    }]
    error_message = "another bucket or account may write into the log"
  }
  assert {
    condition = [for one in jsondecode(aws_s3_bucket_policy.log.policy).Statement : one.Resource if one.Effect == "Deny" && one.Condition == { Bool = { "aws:SecureTransport" = "false" } }] == [
      [aws_s3_bucket.this["log"].arn, "${aws_s3_bucket.this["log"].arn}/*"]
    ]
    error_message = "unencrypted connections to the log are let in"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.log.rule[0].expiration[0].days == 30
    error_message = "the log is kept for ever"
  }
  assert {
    condition     = !aws_s3_bucket.this["log"].force_destroy
    error_message = "the log of a protected environment goes with it"
  }
}
