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

variable "account_id" {
  description = "AWS account that owns the key."
  type        = string
  nullable    = false
}
