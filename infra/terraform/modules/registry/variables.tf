variable "name" {
  description = "Name of the repository."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key that images are encrypted with."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "True: it is not deleted while it holds an image."
  type        = bool
  nullable    = false
}

variable "pull_accounts" {
  description = "Other accounts that may pull."
  type        = list(string)
  nullable    = false
}

variable "push_roles" {
  description = "Roles of other accounts that may push."
  type        = list(string)
  nullable    = false
}

variable "disposable_days" {
  description = "Days until an image whose tags all begin with try- is deleted; nothing else ever is."
  type        = number
  nullable    = false
}
