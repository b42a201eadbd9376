output "instance_id" {
  description = "The instance."
  value       = aws_instance.this.id
}

output "group_id" {
  description = "Its security group."
  value       = aws_security_group.this.id
}
