# States of before both buckets were one resource each.
moved {
  from = aws_s3_bucket.this
  to   = aws_s3_bucket.this["artifacts"]
}

moved {
  from = aws_s3_bucket.log
  to   = aws_s3_bucket.this["log"]
}

moved {
  from = aws_s3_bucket_public_access_block.this
  to   = aws_s3_bucket_public_access_block.this["artifacts"]
}

moved {
  from = aws_s3_bucket_public_access_block.log
  to   = aws_s3_bucket_public_access_block.this["log"]
}

moved {
  from = aws_s3_bucket_ownership_controls.this
  to   = aws_s3_bucket_ownership_controls.this["artifacts"]
}

moved {
  from = aws_s3_bucket_ownership_controls.log
  to   = aws_s3_bucket_ownership_controls.this["log"]
}

moved {
  from = aws_s3_bucket_versioning.this
  to   = aws_s3_bucket_versioning.this["artifacts"]
}

moved {
  from = aws_s3_bucket_versioning.log
  to   = aws_s3_bucket_versioning.this["log"]
}
