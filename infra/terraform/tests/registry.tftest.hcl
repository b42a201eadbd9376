mock_provider "aws" {}

variables {
  name            = "slipway-service"
  key_arn         = "arn:aws:kms:us-east-1:123456789012:key/1"
  protected       = true
  pull_accounts   = ["111122223333"]
  push_roles      = []
  disposable_days = 14
}

run "nothing_that_may_run_is_ever_deleted" {
  command = plan

  module {
    source = "./modules/registry"
  }

  assert {
    condition     = alltrue([for rule in jsondecode(aws_ecr_lifecycle_policy.this.policy).rules : rule.selection.tagStatus == "tagged" && rule.selection.tagPatternList == ["try-*"]])
    error_message = "a rule deletes more than trials: a commit's image may run or be rolled back to, and records have no tag"
  }
  assert {
    condition     = !aws_ecr_repository.this.force_delete
    error_message = "the repository goes with its images"
  }
}

run "immutable_scanned_and_encrypted" {
  command = plan

  module {
    source = "./modules/registry"
  }

  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE"
    error_message = "a SHA tag can be moved"
  }
  assert {
    condition     = aws_ecr_repository.this.image_scanning_configuration[0].scan_on_push
    error_message = "images are not scanned on push"
  }
  assert {
    condition     = aws_ecr_repository.this.encryption_configuration[0].kms_key == var.key_arn
    error_message = "images are not encrypted with the environment's key"
  }
}

run "other_accounts_pull_and_no_more" {
  command = plan

  module {
    source = "./modules/registry"
  }

  assert {
    condition     = !anytrue([for action in jsondecode(aws_ecr_repository_policy.this[0].policy).Statement[0].Action : can(regex("Put|Upload|Delete|\\*", action))])
    error_message = "who may pull may push or delete"
  }
}
