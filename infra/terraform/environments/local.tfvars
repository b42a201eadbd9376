# The same root on moto's server. Nothing here costs or runs: small where AWS's defaults are for lasting environments.
owner        = "slipway"
protected    = false
nat_per_zone = false
log_days     = 7

subnets = {
  us-east-1a = { public = "10.0.1.0/24", private = "10.0.2.0/24" }
  us-east-1b = { public = "10.0.3.0/24", private = "10.0.4.0/24" }
}

database = {
  multi_az    = false
  backup_days = 1
}

gitlab = {
  host           = "gitlab.example.com"
  project        = "team/slipway"
  merge_requests = true
}
