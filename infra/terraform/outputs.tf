output "cluster_name" {
  description = "Name of the EKS cluster: `cluster.name` of environment.yaml."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "URL of the Kubernetes API."
  value       = module.cluster.endpoint
}

output "node_counts" {
  description = "Nodes that are asked for at first, by kind of capacity."
  value       = module.cluster.node_counts
}

output "ecr_repository_url" {
  description = "Where images are pushed: `registry.repository` of environment.yaml."
  value       = local.repository_url
}

output "database_endpoint" {
  description = "host:port of the database, reachable from the cluster's nodes and the bastion only."
  value       = module.database.endpoint
}

output "database_secret_arn" {
  description = "Secret with the database's user and password, made and rotated by RDS. The password is in no state."
  value       = module.database.secret_arn
}

output "artifacts_bucket" {
  description = "Bucket for what pipelines keep."
  value       = module.storage.bucket
}

output "bastion_id" {
  description = "Instance to start a Session Manager session on: aws ssm start-session --target ID."
  value       = module.bastion.instance_id
}

output "gitlab_role_arn" {
  description = "Role that this environment's GitLab jobs take with their ID token."
  value       = module.identity.gitlab_role_arn
}

output "gitlab_reader_arn" {
  description = "Role that merge requests take for their plan; it changes nothing. null where they have none."
  value       = module.identity.gitlab_reader_arn
}

output "gitlab_audience" {
  description = "Audience (`id_tokens: ...: aud`) that both roles ask for."
  value       = module.identity.gitlab_audience
}

output "external_secrets_role_arn" {
  description = "Role of External Secrets: it may read the database's secret and nothing else."
  value       = module.workloads.role_arns["external-secrets"]
}

output "interruption_queue" {
  description = "Queue that Spot interruptions, rebalance advice, state changes, health and reservation events arrive in."
  value       = module.interruption.queue_name
}

output "vpc_id" {
  description = "The VPC."
  value       = module.network.vpc_id
}

output "private_subnet_ids" {
  description = "Private subnets, one per zone."
  value       = module.network.private_subnet_ids
}
