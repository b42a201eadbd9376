output "id" {
  description = "Resource id of the instance."
  value       = aws_db_instance.this.id
}

output "endpoint" {
  description = "host:port."
  value       = aws_db_instance.this.endpoint
}

output "secret_arn" {
  description = "Secret with user and password."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}

output "final_snapshot" {
  description = "Snapshot that is left when the database is destroyed; null where it may be lost."
  value       = aws_db_instance.this.final_snapshot_identifier
}
