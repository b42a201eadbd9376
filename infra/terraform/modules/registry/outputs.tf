output "arn" {
  description = "ARN of the repository."
  value       = aws_ecr_repository.this.arn
}

output "url" {
  description = "Where images are pushed and pulled."
  value       = aws_ecr_repository.this.repository_url
}
