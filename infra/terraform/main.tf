locals {
  name = "slipway-${var.environment}"
  tags = {
    project     = "slipway"
    owner       = var.owner
    environment = var.environment
    commit      = var.commit
    managed-by  = "terraform"
  }
}

module "encryption" {
  source = "./modules/encryption"

  name       = local.name
  region     = var.region
  account_id = var.account_id
}

module "network" {
  source = "./modules/network"

  name         = local.name
  region       = var.region
  cidr         = var.vpc_cidr
  subnets      = var.subnets
  nat_per_zone = var.nat_per_zone
  key_arn      = module.encryption.key_arn
  log_days     = var.log_days
}

module "bastion" {
  source = "./modules/bastion"

  name               = local.name
  vpc_id             = module.network.vpc_id
  subnet_id          = module.network.private_subnet_ids[0]
  instance_type      = var.bastion_instance_type
  ssh_public_key     = var.ssh_public_key
  endpoints_group_id = module.network.endpoints_group_id
  s3_prefix_list_id  = module.network.s3_prefix_list_id
  cluster_group_id   = module.cluster.control_plane_group_id
  database_group_id  = module.database.group_id
  emulated           = var.emulated
}

module "storage" {
  source = "./modules/storage"

  name       = "${local.name}-artifacts-${var.account_id}"
  log_name   = "${local.name}-access-log-${var.account_id}"
  log_days   = var.log_days
  account_id = var.account_id
  key_arn    = module.encryption.key_arn
  protected  = var.protected
  emulated   = var.emulated
}

module "registry" {
  source = "./modules/registry"
  count  = var.registry.create ? 1 : 0

  name            = var.registry.name
  key_arn         = module.encryption.key_arn
  protected       = var.protected
  pull_accounts   = var.registry.pull_accounts
  push_roles      = var.registry.push_roles
  disposable_days = var.registry.disposable_days
}

module "cluster" {
  source = "./modules/cluster"

  name               = local.name
  kubernetes_version = var.cluster.version
  vpc_id             = module.network.vpc_id
  subnet_ids         = module.network.private_subnet_ids
  public_cidrs       = var.cluster.public_cidrs
  key_arn            = module.encryption.key_arn
  addons             = var.cluster.addons
  nodes              = var.nodes
  log_days           = var.log_days
  tags               = local.tags
  emulated           = var.emulated
}

module "interruption" {
  source = "./modules/interruption"

  name = local.name
}

module "database" {
  source = "./modules/database"

  name            = local.name
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.private_subnet_ids
  client_group_id = module.cluster.nodes_group_id
  key_arn         = module.encryption.key_arn
  settings        = var.database
  log_days        = var.log_days
  protected       = var.protected
  emulated        = var.emulated
}

module "identity" {
  source = "./modules/identity"

  name           = local.name
  environment    = var.environment
  account_id     = var.account_id
  gitlab         = var.gitlab
  state          = var.state
  repository_arn = local.repository_arn
  cluster_name   = module.cluster.name
  cluster_arn    = module.cluster.arn
  administrators = var.cluster.administrators
  emulated       = var.emulated
}

module "workloads" {
  source = "./modules/workloads"

  name         = local.name
  cluster_name = module.cluster.name
  cluster_arn  = module.cluster.arn
  account_id   = var.account_id
  secret_arn   = module.database.secret_arn
  key_arn      = module.encryption.key_arn
  queue_arn    = module.interruption.queue_arn
  emulated     = var.emulated
}

module "protection" {
  source = "./modules/protection"

  enabled = var.protected
  locked = merge(
    {
      database  = module.database.id
      artifacts = module.storage.bucket
      key       = module.encryption.key_arn
      cluster   = module.cluster.arn
    },
    { for index, one in module.registry : "registry" => one.arn },
  )
}

locals {
  registry_account = var.registry.account_id == "" ? var.account_id : var.registry.account_id
  # Made of names and not taken from the module: the environments that only use the repository say the same.
  repository_arn = "arn:aws:ecr:${var.region}:${local.registry_account}:repository/${var.registry.name}"
  repository_url = "${local.registry_account}.dkr.ecr.${var.region}.amazonaws.com/${var.registry.name}"
}
