output "key_arn" {
  description = "Key for everything of the environment that is encrypted with a key of its own."
  value       = aws_kms_key.this.arn
}
