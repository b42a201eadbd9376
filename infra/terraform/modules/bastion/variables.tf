variable "name" {
  description = "Prefix of the names."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "subnet_id" {
  description = "Private subnet that it stands in."
  type        = string
  nullable    = false
}

variable "instance_type" {
  description = "Graviton instance type."
  type        = string
  nullable    = false
}

variable "ssh_public_key" {
  description = "OpenSSH public key for SSH inside a session, or the empty string."
  type        = string
  nullable    = false
}

variable "endpoints_group_id" {
  description = "Group of the private endpoints of Session Manager."
  type        = string
  nullable    = false
}

variable "s3_prefix_list_id" {
  description = "Addresses of S3, where the packages of Amazon Linux lie."
  type        = string
  nullable    = false
}

variable "cluster_group_id" {
  description = "Group of the Kubernetes API."
  type        = string
  nullable    = false
}

variable "database_group_id" {
  description = "Group of the database."
  type        = string
  nullable    = false
}

variable "emulated" {
  description = "Leave out what moto cannot do: detailed monitoring (no API), descriptions of rules and the refusal of a public address (accepted, answered differently)."
  type        = bool
  nullable    = false
}
