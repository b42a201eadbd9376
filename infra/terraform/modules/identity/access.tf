locals {
  # Look everywhere that a deploy looks. Argo CD's own objects are no part of any policy of EKS: the group is for a
  # RoleBinding in the cluster (docs/infrastructure.md).
  pipeline = { (aws_iam_role.gitlab.name) = { arn = aws_iam_role.gitlab.arn, groups = ["slipway:deliver"] } }
  people   = { for arn in var.administrators : arn => { arn = arn, groups = [] } }
  entries  = var.emulated ? {} : merge(local.pipeline, local.people)
  policies = var.emulated ? {} : merge(
    { (aws_iam_role.gitlab.name) = { arn = aws_iam_role.gitlab.arn, policy = "AmazonEKSViewPolicy", namespaces = [var.name, "argocd"] } },
    { for arn in var.administrators : arn => { arn = arn, policy = "AmazonEKSClusterAdminPolicy", namespaces = [] } },
  )
}

resource "aws_eks_access_entry" "this" {
  for_each = local.entries

  cluster_name      = var.cluster_name
  principal_arn     = each.value.arn
  kubernetes_groups = each.value.groups
}

resource "aws_eks_access_policy_association" "this" {
  for_each = local.policies

  cluster_name  = var.cluster_name
  principal_arn = each.value.arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/${each.value.policy}"

  access_scope {
    type       = length(each.value.namespaces) > 0 ? "namespace" : "cluster"
    namespaces = length(each.value.namespaces) > 0 ? each.value.namespaces : null
  }

  depends_on = [aws_eks_access_entry.this]
}
