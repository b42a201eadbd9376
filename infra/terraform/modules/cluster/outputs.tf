output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "control_plane_group_id" {
  description = "Security group of the Kubernetes API inside the VPC."
  value       = aws_security_group.control_plane.id
}

output "nodes_group_id" {
  description = "Security group that every node is a member of, for others to let in."
  value       = aws_security_group.nodes.id
}

output "node_counts" {
  description = "Nodes that are asked for at first, by kind of capacity."
  value       = { for kind, sizes in local.sizes : kind => sizes.desired }
}
