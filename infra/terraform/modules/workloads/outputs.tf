output "role_arns" {
  description = "Workload → role."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
