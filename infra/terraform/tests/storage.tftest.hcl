mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mock" }
  }
}

variables {
  name      = "slipway-test-artifacts"
  key_arn   = "arn:aws:kms:us-east-1:123456789012:key/1"
  protected = true
}

run "closed_encrypted_and_versioned" {
  module {
    source = "./modules/storage"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "the bucket can be made public"
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.key_arn
    error_message = "objects are not encrypted with the environment's key"
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "an overwritten object is lost"
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Effect == "Deny" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "unencrypted connections are let in"
  }
  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "a protected bucket goes with what it holds"
  }
}
