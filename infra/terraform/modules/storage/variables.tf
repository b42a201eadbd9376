variable "name" {
  description = "Name of the bucket."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key that its objects are encrypted with."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "True: it is not deleted while it holds something."
  type        = bool
  nullable    = false
}
