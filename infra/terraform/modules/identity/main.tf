locals {
  # One audience per environment: the token of a staging job opens nothing of production.
  audience = "https://${var.gitlab.host}/${var.gitlab.project}/${var.environment}"
  subject  = join(":", concat(["project_path:${var.gitlab.project}:ref_type:branch:ref:${var.gitlab.branch}"], var.gitlab.claims))
  provider = "arn:aws:iam::${var.account_id}:oidc-provider/${var.gitlab.host}"

  # Who may take a role: the audience is the same for both, the jobs are not.
  jobs = {
    deliver = { StringEquals = { "${var.gitlab.host}:sub" = local.subject } }
    read    = { StringLike = { "${var.gitlab.host}:sub" = "project_path:${var.gitlab.project}:ref_type:branch:ref:*" } }
  }
  trust = { for role, jobs in local.jobs : role => {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = merge(jobs, {
        StringEquals = merge({ "${var.gitlab.host}:aud" = local.audience }, try(jobs.StringEquals, {}))
      })
    }]
  } }
}

# An account knows an issuer once; its audiences are checked again, and more narrowly, by the role.
resource "aws_iam_openid_connect_provider" "gitlab" {
  count = var.gitlab.create_provider ? 1 : 0

  url            = "https://${var.gitlab.host}"
  client_id_list = [local.audience]

  lifecycle {
    # Another environment in the same account adds its audience with `aws iam add-client-id-to-open-id-connect-provider`.
    ignore_changes = [client_id_list]
  }
}

resource "aws_iam_role" "gitlab" {
  name                 = "${var.name}-gitlab"
  description          = "GitLab jobs of ${var.gitlab.project} on ${var.gitlab.branch} for ${var.environment}"
  max_session_duration = 3600
  assume_role_policy   = jsonencode(local.trust["deliver"])

  depends_on = [aws_iam_openid_connect_provider.gitlab]
}

resource "aws_iam_role_policy" "gitlab" {
  name = "deliver"
  role = aws_iam_role.gitlab.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Names no repository: ECR gives one login for all, what it opens is decided below.
        Sid      = "LogInToTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid    = "PushAndLook"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
          "ecr:DescribeImageScanFindings", "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer",
          "ecr:GetLifecyclePolicy", "ecr:InitiateLayerUpload", "ecr:ListImages", "ecr:PutImage", "ecr:PutImageTagMutability",
          "ecr:UploadLayerPart",
        ]
        Resource = var.repository_arn
      },
      {
        Sid      = "FindTheCluster"
        Effect   = "Allow"
        Action   = "eks:DescribeCluster"
        Resource = var.cluster_arn
      },
    ]
  })
}

# What apply from a pipeline needs beside, as the account's owner sees fit.
resource "aws_iam_role_policy_attachment" "gitlab" {
  for_each = toset(var.gitlab.policy_arns)

  role       = aws_iam_role.gitlab.name
  policy_arn = each.key
}
