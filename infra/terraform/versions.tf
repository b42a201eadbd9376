terraform {
  # The native lock file of the S3 backend is out of its trial since 1.11.
  required_version = "~> 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # Bucket, key and region come from gitops/environments/<environment>/environment.yaml. The bucket is made by
  # infra.bootstrap and is no resource of this root, so that no destroy reaches the state.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
