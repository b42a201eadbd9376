output "gitlab_role_arn" {
  description = "Role of the pipeline."
  value       = aws_iam_role.gitlab.arn
}

output "gitlab_reader_arn" {
  description = "Role of merge requests; null where they have none."
  value       = one(aws_iam_role.reader[*].arn)
}

output "gitlab_audience" {
  description = "Audience that the role asks for."
  value       = local.audience
}
