# Make it yours: accounts, roles and the GitLab project are examples. Account and region are named once, in
# gitops/environments/staging/environment.yaml, and handed to Terraform by the tasks.
owner = "platform@example.com"
# Data here may be lost: it is gone with the environment, so that ending it is one command.
protected = false
# One zone's NAT gateway going down stops deploys of staging, not of production.
nat_per_zone = false
log_days     = 30

subnets = {
  us-east-1a = { public = "10.0.1.0/24", private = "10.0.2.0/24" }
  us-east-1b = { public = "10.0.3.0/24", private = "10.0.4.0/24" }
}

cluster = {
  version        = "1.34"
  public_cidrs   = []
  administrators = ["arn:aws:iam::111111111111:role/platform-admin"]
}

database = {
  multi_az    = false
  backup_days = 7
}

# One repository for both, in production's account: what was tried in staging is, byte for byte, what goes on.
registry = {
  create     = false
  account_id = "222222222222"
}

gitlab = {
  host    = "gitlab.example.com"
  project = "team/slipway"
  claims  = ["environment_protected:true", "deployment_tier:staging"]
  # Their plans may be made from every branch of the project, by a role that only reads.
  merge_requests = true
}
