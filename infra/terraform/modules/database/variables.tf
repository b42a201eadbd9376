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

variable "subnet_ids" {
  description = "Private subnets in two zones or more."
  type        = list(string)
  nullable    = false
}

variable "client_group_id" {
  description = "Security group whose members may connect."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key for storage, password and performance data."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "See the variable database of the root."
  type        = object({ version = string, instance_class = string, multi_az = bool, storage_gib = number, storage_max_gib = number, backup_days = number })
  nullable    = false
}

variable "log_days" {
  description = "Days that its logs are kept."
  type        = number
  nullable    = false
}

variable "protected" {
  description = "Deletion protection, and a snapshot before it is deleted."
  type        = bool
  nullable    = false
}

variable "emulated" {
  description = "Leave out what moto accepts and never answers: parameters of a group, Performance Insights, descriptions of rules."
  type        = bool
  nullable    = false
}
