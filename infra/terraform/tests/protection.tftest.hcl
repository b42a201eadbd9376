run "what_is_locked_in_a_protected_environment" {
  command = plan

  module {
    source = "./modules/protection"
  }

  variables {
    enabled = true
    locked  = { database = "db-1", registry = "arn" }
  }

  assert {
    condition     = toset(output.locked) == toset(["database", "registry"])
    error_message = "something is not locked"
  }
}

run "nothing_is_locked_elsewhere" {
  command = plan

  module {
    source = "./modules/protection"
  }

  variables {
    enabled = false
    locked  = { database = "db-1" }
  }

  assert {
    condition     = length(output.locked) == 0
    error_message = "an unprotected environment cannot be destroyed in one go"
  }
}
