locals {
  spot = {
    for size in ["minimum", "desired", "maximum"] : size => floor(var.nodes[size] * var.nodes.spot_share + 0.5)
  }
  sizes = {
    on-demand = { for size, spot in local.spot : size => var.nodes[size] - spot }
    spot      = local.spot
  }
  groups = {
    on-demand = { capacity = "ON_DEMAND", types = var.nodes.on_demand_types }
    spot      = { capacity = "SPOT", types = var.nodes.spot_types }
  }
  off = { for size, spot in local.spot : size => abs(spot / var.nodes[size] - var.nodes.spot_share) }
}

resource "aws_iam_role" "nodes" {
  name = "${var.name}-nodes"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.nodes.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

# A badge: it lets nothing in or out, the database lets its members in. Between nodes and control plane the group that
# EKS makes for the cluster decides.
resource "aws_security_group" "nodes" {
  name_prefix = "${var.name}-nodes-"
  description = "Every node of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-nodes" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_launch_template" "nodes" {
  for_each = local.groups

  name_prefix            = "${var.name}-${each.key}-"
  update_default_version = true
  ebs_optimized          = true

  # The cluster's own group has to be named here as well: with a list of ours, EKS adds none. moto gives no such group.
  vpc_security_group_ids = compact([
    try(aws_eks_cluster.this.vpc_config[0].cluster_security_group_id, ""),
    aws_security_group.nodes.id,
  ])

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # Pods are one hop further: the node's role is not theirs.
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = true
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = var.nodes.disk_gib
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
    }
  }

  lifecycle {
    create_before_destroy = true
    # A node says which commit its template was made by. Else every commit would be a new template, and so new nodes.
    ignore_changes = [tag_specifications]
  }
}

# Spot in a managed group: EKS allocates from the deepest and cheapest pools (price-capacity-optimized, not to be set),
# starts a replacement at a rebalance recommendation, and cordons and drains the node before the two minutes are over.
resource "aws_eks_node_group" "this" {
  for_each = local.groups

  cluster_name           = aws_eks_cluster.this.name
  node_group_name_prefix = "${each.key}-"
  node_role_arn          = aws_iam_role.nodes.arn
  subnet_ids             = var.subnet_ids
  version                = var.kubernetes_version
  capacity_type          = each.value.capacity
  instance_types         = each.value.types
  labels                 = { "slipway/capacity" = each.key }

  scaling_config {
    min_size     = local.sizes[each.key].minimum
    desired_size = local.sizes[each.key].desired
    max_size     = max(local.sizes[each.key].maximum, 1)
  }

  launch_template {
    id      = aws_launch_template.nodes[each.key].id
    version = aws_launch_template.nodes[each.key].latest_version
  }

  dynamic "update_config" {
    for_each = var.emulated ? [] : [1]

    content {
      max_unavailable = update_config.value
    }
  }

  # Only what says that it can leave within the grace period runs where it may have to.
  dynamic "taint" {
    for_each = each.value.capacity == "SPOT" ? ["slipway/capacity"] : []

    content {
      key    = taint.value
      value  = "spot"
      effect = "NO_SCHEDULE"
    }
  }

  lifecycle {
    create_before_destroy = true
    # An autoscaler moves the size between minimum and maximum. SSH to nodes is never asked for (a launch template
    # excludes it), and moto answers with a key that nobody named.
    ignore_changes = [scaling_config[0].desired_size, remote_access]

    precondition {
      condition     = alltrue([for size, off in local.off : off <= 0.05])
      error_message = "nodes: ${var.nodes.minimum}, ${var.nodes.desired} or ${var.nodes.maximum} nodes cannot be split with ${floor(var.nodes.spot_share * 100 + 0.5)} % on Spot within 5 points; with 65 %, totals of 3, 5, 6, 8, 9 and more can."
    }
  }

  depends_on = [aws_iam_role_policy_attachment.nodes, aws_eks_addon.first]
}
