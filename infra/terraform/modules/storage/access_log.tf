# Who read, wrote and deleted what in the artifacts: one object per few requests, under the name of their bucket.
resource "aws_s3_bucket_server_side_encryption_configuration" "log" {
  bucket = aws_s3_bucket.this["log"].id

  rule {
    apply_server_side_encryption_by_default {
      # S3 writes access logs into no bucket whose default is a key of KMS.
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "log" {
  bucket = aws_s3_bucket.this["log"].id

  rule {
    id     = "end"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_policy" "log" {
  bucket = aws_s3_bucket.this["log"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this["log"].arn, "${aws_s3_bucket.this["log"].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "AccessLogsOfTheArtifacts"
        Effect    = "Allow"
        Principal = { Service = ["logging.s3.amazonaws.com"] }
        Action    = ["s3:PutObject"]
        Resource  = "${aws_s3_bucket.this["log"].arn}/*"
        Condition = {
          ArnLike      = { "aws:SourceArn" = aws_s3_bucket.this["artifacts"].arn }
          StringEquals = { "aws:SourceAccount" = var.account_id }
        }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_logging" "this" {
  count = var.emulated ? 0 : 1

  bucket        = aws_s3_bucket.this["artifacts"].id
  target_bucket = aws_s3_bucket.this["log"].id
  target_prefix = "${var.name}/"

  depends_on = [aws_s3_bucket_policy.log]
}
