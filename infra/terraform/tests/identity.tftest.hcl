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
  gitlab = {
    host   = "gitlab.example.com", project = "team/slipway", branch = "main", create_provider = true, policy_arns = []
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
