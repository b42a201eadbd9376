resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

resource "aws_iam_role" "cluster" {
  name = "${var.name}-cluster"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "eks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_security_group" "control_plane" {
  name_prefix = "${var.name}-api-"
  description = "Kubernetes API, for members of other groups"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-api" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  version                       = var.kubernetes_version
  role_arn                      = aws_iam_role.cluster.arn
  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  bootstrap_self_managed_addons = var.emulated

  vpc_config {
    subnet_ids              = var.subnet_ids
    security_group_ids      = [aws_security_group.control_plane.id]
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_cidrs) > 0
    public_access_cidrs     = length(var.public_cidrs) > 0 ? var.public_cidrs : null
  }

  encryption_config {
    resources = ["secrets"]

    provider {
      key_arn = var.key_arn
    }
  }

  dynamic "access_config" {
    for_each = var.emulated ? [] : ["access entries only"]

    content {
      authentication_mode                         = "API"
      bootstrap_cluster_creator_admin_permissions = false
    }
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy_attachment.cluster]
}

locals {
  # Network policies of the chart are worth something only where the network enforces them.
  addon_settings = {
    vpc-cni = jsonencode({ enableNetworkPolicy = "true" })
  }
  # Nodes do not get ready without a network.
  first = ["vpc-cni", "kube-proxy", "eks-pod-identity-agent"]
}

resource "aws_eks_addon" "first" {
  for_each = { for name, version in var.addons : name => version if contains(local.first, name) && !var.emulated }

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = each.value == "" ? null : each.value
  configuration_values        = lookup(local.addon_settings, each.key, null)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
}

resource "aws_eks_addon" "rest" {
  for_each = { for name, version in var.addons : name => version if !contains(local.first, name) && !var.emulated }

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = each.value == "" ? null : each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  # Its pods need a node to run on.
  depends_on = [aws_eks_node_group.this]
}
