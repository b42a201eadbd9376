output "locked" {
  description = "What a plan may neither destroy nor replace."
  value       = sort(keys(terraform_data.lock))
}
