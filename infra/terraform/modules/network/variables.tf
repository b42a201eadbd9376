variable "name" {
  description = "Prefix of the names."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "Addresses of the VPC."
  type        = string
  nullable    = false
}

variable "subnets" {
  description = "Availability zone → its public and private range."
  type        = map(object({ public = string, private = string }))
  nullable    = false
}

variable "nat_per_zone" {
  description = "A NAT gateway in every zone, or one for all."
  type        = bool
  nullable    = false
}

variable "key_arn" {
  description = "Key that the flow log is encrypted with."
  type        = string
  nullable    = false
}

variable "log_days" {
  description = "Days that the flow log is kept."
  type        = number
  nullable    = false
}
