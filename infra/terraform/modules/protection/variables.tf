variable "enabled" {
  description = "True: destroying or replacing anything that is locked fails the plan."
  type        = bool
  nullable    = false
}

variable "locked" {
  description = "What it is → an attribute of it that is new when it is replaced, such as its id."
  type        = map(string)
  nullable    = false
}
