resource "aws_ecr_repository" "this" {
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.protected

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.key_arn
  }

  lifecycle {
    # A SHA tag never moves and `latest` does: IMMUTABLE_WITH_EXCLUSION, which ECR has had since July 2025 and this
    # version of the provider has not. The first push of `latest` sets it through the API.
    ignore_changes = [image_tag_mutability]
  }
}

# ECR does not know what a cluster runs, and its rules take signatures and records, which have no tag where a registry
# knows referrers, for images like any other. So nothing expires but what somebody pushed as a trial.
resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Trials only: what has a commit's tag may run or be rolled back to, and its record has no tag"
      selection = {
        tagStatus      = "tagged"
        tagPatternList = ["try-*"]
        countType      = "sinceImagePushed"
        countUnit      = "days"
        countNumber    = var.disposable_days
      }
      action = { type = "expire" }
    }]
  })
}

locals {
  pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
  push = ["ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
  statements = concat(
    [for id in var.pull_accounts : {
      Sid       = "Pull${id}"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${id}:root" }
      Action    = local.pull
    }],
    [for index, role in var.push_roles : {
      Sid       = "Push${index}"
      Effect    = "Allow"
      Principal = { AWS = role }
      Action    = concat(local.pull, local.push)
    }],
  )
}

resource "aws_ecr_repository_policy" "this" {
  count = length(local.statements) > 0 ? 1 : 0

  repository = aws_ecr_repository.this.name
  policy     = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
