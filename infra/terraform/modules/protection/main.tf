# `prevent_destroy` cannot be a variable: it would lock every environment or none. So what it locks is this, which
# exists in protected environments only and depends on what it protects. Terraform has to destroy it before the
# database (or bucket, registry, ...) and to replace it when that is replaced, and both fail the whole plan, also with
# -target. What it does not stop is somebody in the console: for that the database has deletion protection.
resource "terraform_data" "lock" {
  for_each = var.enabled ? var.locked : {}

  input            = each.key
  triggers_replace = each.value

  lifecycle {
    prevent_destroy = true
  }
}
