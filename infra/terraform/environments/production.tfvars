# Make it yours: accounts, roles and the GitLab project are examples. Account and region are named once, in
# gitops/environments/production/environment.yaml, and handed to Terraform by the tasks.
owner     = "platform@example.com"
protected = true

subnets = {
  us-east-1a = { public = "10.0.1.0/24", private = "10.0.2.0/24" }
  us-east-1b = { public = "10.0.3.0/24", private = "10.0.4.0/24" }
  us-east-1c = { public = "10.0.5.0/24", private = "10.0.6.0/24" }
}

cluster = {
  version        = "1.34"
  public_cidrs   = []
  administrators = ["arn:aws:iam::222222222222:role/platform-admin"]
}

nodes = {
  minimum         = 3
  desired         = 6
  maximum         = 12
  on_demand_types = ["m6i.large"]
  spot_types      = ["m5.large", "m5a.large", "m6i.large", "m6a.large", "m7i.large", "m7a.large"]
}

database = {
  instance_class  = "db.m7g.large"
  multi_az        = true
  storage_gib     = 100
  storage_max_gib = 500
  backup_days     = 35
}

# This environment outlives the others, so it holds the images of all.
registry = {
  pull_accounts = ["111111111111"]
  push_roles    = ["arn:aws:iam::111111111111:role/slipway-staging-gitlab"]
}

gitlab = {
  host    = "gitlab.example.com"
  project = "team/slipway"
  claims  = ["environment_protected:true", "deployment_tier:production"]
  # Their plans may be made from every branch of the project, by a role that only reads.
  merge_requests = true
}
