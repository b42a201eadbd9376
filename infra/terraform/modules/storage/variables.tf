variable "name" {
  description = "Name of the bucket."
  type        = string
  nullable    = false
}

variable "log_name" {
  description = "Name of the bucket that its access log goes to."
  type        = string
  nullable    = false
}

variable "log_days" {
  description = "Days that its access log is kept."
  type        = number
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns both."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key that its objects are encrypted with."
  type        = string
  nullable    = false
}

variable "emulated" {
  description = "Leave out the switch of the access log: moto fails on a policy that denies something to everybody."
  type        = bool
  nullable    = false
}

variable "protected" {
  description = "True: it is not deleted while it holds something."
  type        = bool
  nullable    = false
}
