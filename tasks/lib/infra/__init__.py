"""AWS as code: Terraform planned, judged, applied and watched, one root for every environment."""
