variable "name" {
  description = "Prefix of the names, and the namespace of the service."
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

variable "account_id" {
  description = "AWS account."
  type        = string
  nullable    = false
}

variable "secret_arn" {
  description = "Secret of the database."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key that the secret is encrypted with."
  type        = string
  nullable    = false
}

variable "queue_arn" {
  description = "Queue of interruptions."
  type        = string
  nullable    = false
}

variable "emulated" {
  description = "Leave out pod identity associations: moto has no API for them."
  type        = bool
  nullable    = false
}
