variable "name" {
  description = "Name of the cluster and prefix of the names."
  type        = string
  nullable    = false
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
  nullable    = false
}

variable "public_cidrs" {
  description = "Ranges that reach the API from the internet; none closes it."
  type        = list(string)
  nullable    = false
}

variable "key_arn" {
  description = "Key for the Secrets of Kubernetes and for logs."
  type        = string
  nullable    = false
}

variable "addons" {
  description = "Add-on → version, the empty string for the suggested one."
  type        = map(string)
  nullable    = false
}

variable "nodes" {
  description = "See the variable nodes of the root."
  type        = object({ spot_share = number, minimum = number, desired = number, maximum = number, on_demand_types = list(string), spot_types = list(string), disk_gib = number })
  nullable    = false
}

variable "log_days" {
  description = "Days that the logs of the control plane are kept."
  type        = number
  nullable    = false
}

variable "tags" {
  description = "Tags for what EKS makes on its own account (instances, volumes, interfaces): default_tags do not reach it."
  type        = map(string)
  nullable    = false
}

variable "emulated" {
  description = "Leave out what moto cannot do: add-ons (no API), access and update configuration (accepted, never answered)."
  type        = bool
  nullable    = false
}
