# Which pod gets which rights: EKS Pod Identity, so no key and no annotation anywhere.
locals {
  workloads = {
    # The service asks AWS for nothing: a role without rights, so that it never falls back to the node's.
    slipway-service = { namespace = var.name, account = "slipway-service", statements = [] }
    external-secrets = {
      namespace = "external-secrets"
      account   = "external-secrets"
      statements = [
        { Effect = "Allow", Action = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], Resource = [var.secret_arn] },
        { Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.key_arn] },
      ]
    }
    aws-node-termination-handler = {
      namespace = "kube-system"
      account   = "aws-node-termination-handler"
      statements = [
        { Effect = "Allow", Action = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], Resource = [var.queue_arn] },
        # Neither of the two can be narrowed to resources.
        { Effect = "Allow", Action = ["autoscaling:DescribeAutoScalingInstances", "ec2:DescribeInstances"], Resource = ["*"] },
      ]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = local.workloads

  name = "${var.name}-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnEquals    = { "aws:SourceArn" = var.cluster_arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = { for name, one in local.workloads : name => one if length(one.statements) > 0 }

  name   = "work"
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = { for name, one in local.workloads : name => one if !var.emulated }

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.account
  role_arn        = aws_iam_role.this[each.key].arn
}
