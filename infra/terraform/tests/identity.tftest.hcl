mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
}

variables {
  name           = "slipway-production"
  environment    = "production"
  account_id     = "123456789012"
  repository_arn = "arn:aws:ecr:us-east-1:123456789012:repository/slipway-service"
  cluster_name   = "slipway-production"
  cluster_arn    = "arn:aws:eks:us-east-1:123456789012:cluster/slipway-production"
  administrators = ["arn:aws:iam::123456789012:role/admin"]
  emulated       = false
  state          = "slipway-state-123456789012/production/terraform.tfstate"
  gitlab = {
    host   = "gitlab.example.com", project = "team/slipway", branch = "main", create_provider = true, policy_arns = [], merge_requests = true
    claims = ["environment_protected:true", "deployment_tier:production"]
  }
}

run "bound_to_project_branch_and_environment" {
  command = plan

  module {
    source = "./modules/identity"
  }

  assert {
    condition = jsondecode(aws_iam_role.gitlab.assume_role_policy).Statement[0].Condition == {
      StringEquals = {
        "gitlab.example.com:aud" = "https://gitlab.example.com/team/slipway/production"
        "gitlab.example.com:sub" = "project_path:team/slipway:ref_type:branch:ref:main:environment_protected:true:deployment_tier:production"
      }
    }
    error_message = "jobs of another project, branch or environment may take the role"
  }
}

run "looks_and_pushes_and_no_more" {
  command = plan

  module {
    source = "./modules/identity"
  }

  assert {
    condition = alltrue(flatten([
      for one in jsondecode(aws_iam_role_policy.gitlab.policy).Statement : [for action in flatten([one.Action]) : !can(regex("\\*|Delete|^iam:", action))]
    ]))
    error_message = "the pipeline may delete, or change who may what"
  }
  assert {
    condition     = alltrue([for one in jsondecode(aws_iam_role_policy.gitlab.policy).Statement : one.Action == "ecr:GetAuthorizationToken" || one.Resource != "*"])
    error_message = "a right holds for everything in the account"
  }
  assert {
    condition     = aws_eks_access_policy_association.this["slipway-production-gitlab"].access_scope[0].type == "namespace"
    error_message = "the pipeline sees the whole cluster"
  }
}

run "merge_requests_of_the_project_only_read" {
  module {
    source = "./modules/identity"
  }

  assert {
    condition = jsondecode(aws_iam_role.reader[0].assume_role_policy).Statement[0].Condition == {
      StringEquals = { "gitlab.example.com:aud" = "https://gitlab.example.com/team/slipway/production" }
      StringLike   = { "gitlab.example.com:sub" = "project_path:team/slipway:ref_type:branch:ref:*" }
    }
    error_message = "jobs of another project, or tags, may take the role that reads"
  }
  assert {
    condition     = aws_iam_role_policy_attachment.reader[0].policy_arn == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    error_message = "the role of merge requests may do more than read"
  }
  assert {
    condition     = alltrue([for one in jsondecode(aws_iam_role_policy.reader[0].policy).Statement : one.Effect == "Deny"])
    error_message = "the role of merge requests is given more than ReadOnlyAccess"
  }
  assert {
    condition = [for one in jsondecode(aws_iam_role_policy.reader[0].policy).Statement : one.NotResource if contains(one.Action, "s3:GetObject")] == [
      "arn:aws:s3:::slipway-state-123456789012/production/terraform.tfstate"
    ]
    error_message = "merge requests read objects beside the state"
  }
  assert {
    condition     = contains(jsondecode(aws_iam_role_policy.reader[0].policy).Statement[0].Action, "secretsmanager:GetSecretValue")
    error_message = "merge requests read the database's password"
  }
  assert {
    condition     = toset(keys(aws_eks_access_entry.this)) == toset(["slipway-production-gitlab", "arn:aws:iam::123456789012:role/admin"])
    error_message = "merge requests reach into the cluster"
  }
}

run "without_them_there_is_no_such_role" {
  command = plan

  module {
    source = "./modules/identity"
  }

  variables {
    gitlab = {
      host   = "gitlab.example.com", project = "team/slipway", branch = "main", create_provider = true, policy_arns = []
      claims = [], merge_requests = false
    }
  }

  assert {
    condition     = length(aws_iam_role.reader) == 0
    error_message = "every branch may read the account although nobody asked for that"
  }
}
