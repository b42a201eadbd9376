mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
}

variables {
  name               = "slipway-test"
  kubernetes_version = "1.34"
  vpc_id             = "vpc-1"
  subnet_ids         = ["subnet-1", "subnet-2"]
  public_cidrs       = []
  key_arn            = "arn:aws:kms:us-east-1:123456789012:key/1"
  addons             = { vpc-cni = "", coredns = "" }
  log_days           = 30
  tags               = { owner = "o", environment = "test", commit = "c" }
  emulated           = false
  nodes = {
    spot_share      = 0.65, minimum = 3, desired = 6, maximum = 9, disk_gib = 30
    on_demand_types = ["t3.small"], spot_types = ["t3.small", "t3a.small", "t3.medium"]
  }
}

run "closed_encrypted_and_logged" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "the Kubernetes API is open to the internet"
  }
  assert {
    condition     = contains(aws_eks_cluster.this.encryption_config[0].resources, "secrets") && aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.key_arn
    error_message = "Secrets are not encrypted with the environment's key"
  }
  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "a log of the control plane is off"
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "something else than access entries decides who comes in"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.first["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "network policies are not enforced"
  }
}

run "sixty_to_seventy_percent_on_spot" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  assert {
    condition = alltrue([
      for size in ["min_size", "desired_size", "max_size"] :
      aws_eks_node_group.this["spot"].scaling_config[0][size] / (aws_eks_node_group.this["spot"].scaling_config[0][size] + aws_eks_node_group.this["on-demand"].scaling_config[0][size]) >= 0.6 &&
      aws_eks_node_group.this["spot"].scaling_config[0][size] / (aws_eks_node_group.this["spot"].scaling_config[0][size] + aws_eks_node_group.this["on-demand"].scaling_config[0][size]) <= 0.7
    ])
    error_message = "the Spot share is not between 60 and 70 %"
  }
  assert {
    condition     = aws_eks_node_group.this["spot"].capacity_type == "SPOT" && aws_eks_node_group.this["on-demand"].capacity_type == "ON_DEMAND"
    error_message = "a group has the other's capacity"
  }
  assert {
    condition     = length(aws_eks_node_group.this["spot"].instance_types) >= 3
    error_message = "Spot depends on one or two pools"
  }
  assert {
    condition     = one(aws_eks_node_group.this["spot"].taint).effect == "NO_SCHEDULE" && length(aws_eks_node_group.this["on-demand"].taint) == 0
    error_message = "anything may run on Spot, or nothing on demand"
  }
  assert {
    condition     = alltrue([for kind, one in aws_eks_node_group.this : one.labels["slipway/capacity"] == kind])
    error_message = "a node does not say what it is"
  }
}

run "a_split_that_does_not_hold_is_refused" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  variables {
    nodes = {
      spot_share      = 0.65, minimum = 3, desired = 4, maximum = 9, disk_gib = 30
      on_demand_types = ["t3.small"], spot_types = ["t3.small", "t3a.small", "t3.medium"]
    }
  }

  expect_failures = [aws_eks_node_group.this]
}

run "nodes_keep_their_role_and_their_disks" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = alltrue([for one in aws_launch_template.nodes : one.metadata_options[0].http_tokens == "required" && one.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "pods or old clients reach the instance metadata"
  }
  assert {
    condition     = alltrue([for one in aws_launch_template.nodes : tobool(one.block_device_mappings[0].ebs[0].encrypted)])
    error_message = "a node's disk is not encrypted"
  }
  assert {
    condition = alltrue(flatten([
      for one in aws_launch_template.nodes : [for spec in one.tag_specifications : alltrue([for key in ["owner", "environment", "commit"] : contains(keys(spec.tags), key)])]
    ])) && alltrue([for one in aws_launch_template.nodes : length(one.tag_specifications) == 3])
    error_message = "instances, disks or interfaces have no tags"
  }
  assert {
    condition     = alltrue([for one in aws_launch_template.nodes : one.key_name == null || one.key_name == ""])
    error_message = "a node has an SSH key"
  }
}
