# Another place than AWS (moto's server) is named by AWS_ENDPOINT_URL, never here.
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
  # A server on one address has no names for buckets.
  s3_use_path_style = var.emulated

  default_tags {
    tags = local.tags
  }
}
