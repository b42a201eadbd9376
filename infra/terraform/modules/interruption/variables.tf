variable "name" {
  description = "Prefix of the names."
  type        = string
  nullable    = false
}
