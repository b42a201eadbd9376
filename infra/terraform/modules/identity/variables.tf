variable "name" {
  description = "Prefix of the names."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Name of the environment."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account."
  type        = string
  nullable    = false
}

variable "gitlab" {
  description = "See the variable gitlab of the root."
  type        = object({ host = string, project = string, branch = string, claims = list(string), create_provider = bool, policy_arns = list(string), merge_requests = bool })
  nullable    = false
}

variable "state" {
  description = "BUCKET/KEY of this root's state, the only object that plans of merge requests may read."
  type        = string
  nullable    = false
}

variable "repository_arn" {
  description = "Image repository that pipelines push to."
  type        = string
  nullable    = false
}

variable "cluster_name" {
  description = "The cluster."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "ARN of the cluster."
  type        = string
  nullable    = false
}

variable "administrators" {
  description = "Roles that may do everything in the cluster."
  type        = list(string)
  nullable    = false
}

variable "emulated" {
  description = "Leave out access entries: moto has no API for them."
  type        = bool
  nullable    = false
}
